"""Label every trial of a snapshot with a classifier: in shards, resumable, only what is new or changed."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from trialtune import __version__
from trialtune.classifier.classifier import (
    classifier_fingerprint,
    describe_classifier,
    open_classifier,
    task_of,
)
from trialtune.errors import UsageError
from trialtune.files import (
    atomic_folder,
    check_replaceable,
    fingerprint,
    recover,
    sha256_of,
    write_json,
)
from trialtune.labelling.output import RECORD, Labelled, count_changes, tally, write_parts
from trialtune.labelling.plan import Plan, count_trials, make_plan
from trialtune.labelling.shards import check_engine, score_shards
from trialtune.registry.snapshot.read import snapshot_file, snapshot_metadata
from trialtune.reports.labels import write_labels_page
from trialtune.tasks.task import Task

# A label and a total -> what takes the numbers of items done: `trialtune.console.bar` is one.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def no_bar(label: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """For callers without a terminal."""
    return nullcontext(lambda count: None)


@dataclass(frozen=True)
class ApplySettings:
    """How a snapshot is labelled. With onnxruntime the labels depend on none of it.

    PyTorch in bfloat16 rounds a probability by up to 0.005 otherwise in another batch.
    """

    engine: str = "local"
    shard_rows: int = 8192  # texts between two moments at which a stopped run can go on
    since: Path | None = None  # an earlier output; else what lies at `out`


@dataclass(frozen=True)
class _Job:
    """What is asked: a classifier over a snapshot, with an earlier output to build on."""

    classifier: Path
    task: Task
    fingerprint: str
    snapshot: Path
    earlier: Labelled | None
    shard_rows: int

    @property
    def key(self) -> str:
        """Equal for work that may be gone on with."""
        earlier = self.earlier and self.earlier.record
        data = sha256_of(snapshot_file(self.snapshot))
        return fingerprint(
            __version__, self.fingerprint, self.task.describe(), data, self.shard_rows, earlier
        )

    def plan(self, folder: Path, key: str, progress: Callable[[int], None] | None) -> Plan:
        return make_plan(
            self.task,
            self.snapshot,
            folder,
            key=key,
            shard_rows=self.shard_rows,
            known=self.earlier.known() if self.earlier else set(),
            progress=progress,
        )


def apply(
    classifier: Path,
    snapshot: Path,
    out: Path,
    *,
    settings: ApplySettings,
    tell: Callable[[str], None] = lambda line: None,
    bar: Bar = no_bar,
) -> dict[str, Any]:
    """Label the trials of `snapshot` that have a text of the classifier's task; returns the summary.

    `out` gets `labels/part-*.parquet` (nct_id, labels, probabilities, needs_review, classifier,
    text_hash; a row a trial, in the order of NCT ids), `apply.json`, `summary.json` and
    `summary.html`, all at one stroke. Until then the work lies in `.<out>.work` beside it, and the
    same call goes on with it after a kill at any moment, to labels of the same bytes. A text is scored once
    however many trials have it; texts that an earlier output of the same classifier has
    (`settings.since`, else `out` itself) are not scored again.

    Raises DataError for a classifier or snapshot that cannot be used or has no text of the task, and
    UsageError when `out` holds other things, is being written, or the engine is not there.
    """
    out = out.absolute()  # so that "." has a name
    _check(classifier, snapshot, out, settings)
    work = out.with_name(f".{out.name}.work")
    work.mkdir(exist_ok=True)
    try:
        with FileLock(work / ".lock", timeout=0):
            recover(out)
            job = _job(classifier, snapshot, out, settings, tell)
            plan = _planned(job, work, tell, bar)
            open_ = partial(open_classifier, classifier.resolve())
            with bar("scoring texts", plan.to_score) as progress:
                score_shards(plan, open_, engine=settings.engine, progress=progress)
            summary = _finish(job, plan, out)
    except Timeout as error:
        raise UsageError(f"--out {out}: another apply is writing it; wait for it") from error
    shutil.rmtree(work)
    return summary


def dry_run(classifier: Path, snapshot: Path, out: Path, *, settings: ApplySettings) -> dict[str, Any]:
    """What `apply` would have to do: trials, distinct texts, texts to score. Nothing stays written."""
    _check(classifier, snapshot, out, settings)
    job = _job(classifier, snapshot, out, settings, lambda line: None)
    with tempfile.TemporaryDirectory() as folder:
        plan = job.plan(Path(folder), "", None)
        changes = count_changes(plan, job.earlier)
    return _about(job) | _counts(plan) | changes


def _check(classifier: Path, snapshot: Path, out: Path, settings: ApplySettings) -> None:
    """What can be told before the work is told before anything is written."""
    check_engine(settings.engine)
    check_replaceable(out, inputs=[classifier, snapshot])
    if out.is_dir() and any(out.iterdir()) and not (out / RECORD).is_file():
        raise UsageError(f"--out {out}: holds no output of apply; give a new folder")
    describe_classifier(classifier)
    open_classifier(classifier)  # a missing file, or a wrong rule
    count_trials(snapshot)
    if settings.since:
        Labelled.open(settings.since)


def _job(
    classifier: Path, snapshot: Path, out: Path, settings: ApplySettings, tell: Callable[[str], None]
) -> _Job:
    task, mark = task_of(classifier), classifier_fingerprint(classifier)
    earlier = None
    if settings.since or (out / RECORD).is_file():
        earlier = Labelled.open(settings.since or out)
        if earlier.fingerprint != mark:
            tell(
                f"{earlier.folder} was labelled by another classifier ({earlier.fingerprint}, this one is"
                f" {mark}): every text is scored again"
            )
            earlier = None
    return _Job(classifier, task, mark, snapshot, earlier, settings.shard_rows)


def _planned(job: _Job, work: Path, tell: Callable[[str], None], bar: Bar) -> Plan:
    key = job.key
    if plan := Plan.load(work, key):
        tell(f"going on where a run was stopped: {plan.shards - len(plan.missing()):,} shards are scored")
        return plan
    for left in work.iterdir():
        if left.name == ".lock":
            continue
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
    with bar("reading trials", count_trials(job.snapshot)) as progress:
        return job.plan(work, key, progress)


def _finish(job: _Job, plan: Plan, out: Path) -> dict[str, Any]:
    labels = list(job.task.labels)
    origin = snapshot_metadata(job.snapshot)
    about = _about(job)
    metadata = {
        "trialtune.version": __version__,
        "trialtune.task": job.task.name,
        "trialtune.classifier": job.fingerprint,
        "trialtune.data_timestamp": origin.get("data_timestamp", ""),
    }
    with atomic_folder(out) as folder:
        parts = folder / "labels"
        rows = write_parts(
            plan,
            job.earlier,
            parts,
            labels=labels,
            classifier=job.fingerprint,
            metadata=metadata,
            shard_rows=job.shard_rows,
        )
        counts = _counts(plan) | count_changes(plan, job.earlier)
        write_json(folder / RECORD, {"format": 1, **about, "labels": labels, "parts": rows})
        summary = {**about, **counts, **tally(plan, parts, labels)}
        write_json(folder / "summary.json", summary)
        write_labels_page(summary, folder / "summary.html")
    return summary


def _about(job: _Job) -> dict[str, Any]:
    origin = snapshot_metadata(job.snapshot)
    return {
        "version": __version__,
        "task": job.task.name,
        "kind": job.task.kind,
        "classifier": {"name": job.classifier.resolve().name, "fingerprint": job.fingerprint},
        "snapshot": {"name": job.snapshot.name, "data_timestamp": origin.get("data_timestamp", "")},
    }


def _counts(plan: Plan) -> dict[str, int]:
    return {
        "trials": plan.trials,
        "without_text": plan.without_text,
        "labelled": plan.labelled,
        "distinct_texts": plan.distinct,
        "reused": plan.reused,
        "scored": plan.to_score,
    }
