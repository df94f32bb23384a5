"""Scores the shards of a plan, locally or on a Ray cluster, with the same results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.prediction import DIGITS, EVIDENCE, PREDICTION_SCHEMA
from trialtune.dataset.label_arrays import label_lists
from trialtune.errors import UsageError
from trialtune.evaluation.decision import Decided
from trialtune.files import atomic_file
from trialtune.labelling.plan import Plan
from trialtune.tasks.crosswalk import Crosswalk

Opener = Callable[[], Classifier]  # opens a classifier on the worker
ENGINES = ("local", "ray")


_OF_A_TEXT = ("text_hash", "text", "labels", "probabilities", "needs_review")


def arrow_schema(labels: Sequence[str], columns: Sequence[str] = PREDICTION_SCHEMA) -> pa.Schema:
    """`PREDICTION_SCHEMA`, or some of its columns, with Arrow's types."""
    types = {
        "labels": pa.list_(pa.string()),
        # A struct: probabilities.Negative in DuckDB, a dict in pandas.
        "probabilities": pa.struct([(label, pa.float32()) for label in labels]),
        "needs_review": pa.bool_(),
        EVIDENCE: pa.list_(
            pa.struct(
                [("label", pa.string()), ("text", pa.string()), ("start", pa.int32()), ("end", pa.int32())]
            )
        ),
    }
    return pa.schema([(name, types.get(name, pa.string())) for name in columns])


def crosswalk_fields(crosswalk: Crosswalk) -> list[pa.Field]:
    """The columns of a crosswalk with Arrow's types."""
    classes = pa.struct([(name, pa.float32()) for name in crosswalk.classes])
    types = (pa.list_(pa.string()), classes, pa.float64(), pa.float32())
    return [pa.field(name, kind) for name, kind in zip(crosswalk.columns, types, strict=False)]


class Scorer:
    """A classifier that scores one shard at a time; also the actor class of the Ray engine."""

    def __init__(self, opener: Opener, plan: Plan) -> None:
        self.classifier, self.plan = opener(), plan

    def score(self, shard: int, progress: Callable[[int], None] | None = None) -> int:
        """Write the scores of a shard, whole or not at all; returns how many texts it has."""
        table = self.plan.texts(shard)
        texts, ask = table.column("text").to_pylist(), self.classifier
        if self.plan.evidence:
            decided, evidence = ask.decide_with_evidence(texts, progress=progress)
        else:
            decided, evidence = ask.decide(texts, progress=progress), None
        scores = _scores(table, ask.labels, decided)
        if evidence is not None:
            said = [[asdict(words) for words in row] for row in evidence]
            field = arrow_schema(ask.labels, (EVIDENCE,)).field(0)
            scores = scores.append_column(field, pa.array(said, type=field.type))
        with atomic_file(self.plan.scores_file(shard)) as temporary:
            pq.write_table(scores, temporary, compression="zstd")
        return int(table.num_rows)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A batch of shard numbers -> how many texts each had."""
        return {"texts": np.array([self.score(int(shard)) for shard in batch["shard"]])}


def score_shards(
    plan: Plan, opener: Opener, *, engine: str = "local", progress: Callable[[int], None] | None = None
) -> None:
    """Score the missing shards; if stopped at any time, a second call resumes.

    Raises UsageError as `check_engine` does.
    """
    check_engine(engine)
    missing = plan.missing()
    if progress and plan.shards > len(missing):
        progress(plan.to_score - sum(map(plan.size, missing)))
    if engine == "ray":
        for count in _on_ray(plan, opener, missing):
            if progress:
                progress(count)
    elif missing:
        scorer = Scorer(opener, plan)
        for shard in missing:
            scorer.score(shard, progress)


def check_engine(engine: str) -> None:
    """Raise UsageError when an engine is unknown or not installed, before any work is done."""
    if engine not in ENGINES:
        raise UsageError(f"--engine {engine}: choose one of {', '.join(ENGINES)}")
    if engine == "ray":
        _ray()


def _on_ray(plan: Plan, opener: Opener, shards: list[int]) -> Iterator[int]:
    """Ray Data's `map_batches` over the shard numbers, one actor per node; each writes its own shards.

    The classifier and the output must be on storage shared by all nodes.
    """
    ray = _ray()
    if not shards:
        return
    if not ray.is_initialized():
        ray.init(log_to_driver=False)  # the cluster of RAY_ADDRESS, else one on this machine
    ray.data.DataContext.get_current().enable_progress_bars = False
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    done = ray.data.from_items([{"shard": shard} for shard in shards]).map_batches(
        Scorer,
        fn_constructor_args=(opener, plan),
        batch_size=1,
        concurrency=min(len(nodes), len(shards)),
        num_cpus=max(1, int(min(node["CPU"] for node in nodes)) - 1),  # one core for the rest
        num_gpus=1 if all(node.get("GPU") for node in nodes) else 0,
    )
    for row in done.iter_rows():
        yield int(row["texts"])


def _ray() -> Any:
    try:
        import ray  # noqa: PLC0415 - an extra
        import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise UsageError("--engine ray needs Ray; install it with: pip install 'trialtune[ray]'") from error
    return ray


def _scores(texts: pa.Table, labels: Sequence[str], decided: Decided) -> pa.Table:
    schema = arrow_schema(labels, _OF_A_TEXT)
    rounded = decided.probabilities.astype(np.float64).round(DIGITS).astype(np.float32)
    columns = [pa.array(np.ascontiguousarray(column)) for column in rounded.T]
    names = label_lists(decided.labels, labels)
    probabilities = pa.StructArray.from_arrays(columns, fields=list(schema.field("probabilities").type))
    review = pa.array(decided.needs_review, type=pa.bool_())
    given = pa.array(names, type=schema.field("labels").type)
    return pa.table([texts["text_hash"], texts["text"], given, probabilities, review], schema)
