"""Learning curves: systems on nested training sets of growing size, on the same test rows."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.evaluate import evaluate
from trialtune.classifier.shipped import shipped_folder
from trialtune.console import tell as tell_person
from trialtune.dataset.holdout import SplitSettings, divide
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.overlap import check_no_overlap
from trialtune.dataset.reading import read_examples
from trialtune.dataset.seen import check_unseen, drop_seen
from trialtune.errors import UsageError
from trialtune.evaluation.intervals import AverageIntervals, score_intervals, score_seeds
from trialtune.evaluation.intervals import compare as compare_answers
from trialtune.evaluation.randomization import holm
from trialtune.evaluation.size_result import (
    SizeDifference,
    SizePoint,
    SizeScores,
    SizesResult,
    detectable,
    size_verdict,
)
from trialtune.experiment.comparison import Bar
from trialtune.experiment.size_settings import SizeSettings
from trialtune.experiment.step import RECORD, Step
from trialtune.experiment.task_adaptation import TaskAdaptation
from trialtune.files import atomic_file, folder_digest, read_json, sha256_of
from trialtune.models.adapters import find_adapter
from trialtune.models.encoders import Encoder
from trialtune.reports.sizes import write_sizes
from trialtune.stages.finetune import finetune
from trialtune.stages.foundations import SHIPPED
from trialtune.stages.settings import FinetuneSettings, Method
from trialtune.tasks.task import Task
from trialtune.training.progress import training_bar

BASE, RESULT = "base", "sizes.json"
_MOST_SEEN = 0.05  # of the test rows
TITLES = {
    BASE: "Base, fine-tuned",
    "adapted": "Adapted, fine-tuned",
    "task-adapted": "Task-adapted, fine-tuned",
    "shipped": "Shipped classifier, linear read-out",
    "read-out": "Base, linear read-out",
    "tf-idf": "TF-IDF + logistic regression",
}


@dataclass(frozen=True)
class SizedSystem:
    """A system trained at every size."""

    method: Method
    adapter: Path | None = None


@dataclass(frozen=True)
class SizeStudy:
    """One task's comparison over sizes.

    `train` and `test` are Parquet files of `nct_id`, `text`, `labels`. A draw is a random order of the
    training rows; its sets of growing size are nested, and the same for all systems. Fine-tuned systems
    share the steps, head, and order of rows.
    """

    task: Task
    train: Path
    test: Path
    encoder: str
    out: Path
    settings: FinetuneSettings
    sizes: SizeSettings
    systems: Mapping[str, SizedSystem] = field(default_factory=dict)

    @property
    def there(self) -> int:
        """The number of training rows."""
        return int(pl.scan_parquet(self.train).select(pl.len()).collect().item())

    @property
    def rows(self) -> list[int]:
        """The sizes with enough rows, smallest first."""
        there = self.there
        wanted = {there if size is None else size for size in self.sizes.sizes}
        return sorted(size for size in wanted if size <= there)

    def steps(self, *inputs: Any, bar: Bar) -> list[Step]:
        """Train and score every system at every size and draw, then compare; `inputs` as for `Comparison`."""
        steps = [
            Step(
                f"{self.task.name}: {name} on {rows:,} labels, draw {draw}",
                self._folder(name, rows, draw),
                (*inputs, self.settings, self.sizes.min_steps, system.method, rows, draw, _key(system)),
                partial(self._score, name, rows, draw, bar),
            )
            for rows in self.rows
            for draw in range(1, self.sizes.draws + 1)
            for name, system in self.systems.items()
        ]
        keys = tuple(step.key for step in steps)
        return [*steps, Step(f"compare sizes {self.task.name}", self.out / "result", keys, self._compare)]

    def _folder(self, name: str, rows: int, draw: int) -> Path:
        return self.out / "scores" / f"{name}-{rows}-{draw}"

    def _score(self, name: str, rows: int, draw: int, bar: Bar) -> dict[str, float]:
        """Train a system on the first `rows` of a draw, score it; the classifier itself is deleted."""
        system, folder = self.systems[name], self._folder(name, rows, draw)
        train, test = pl.read_parquet(self.train), pl.read_parquet(self.test)
        check_no_overlap(train, test)
        opened = Encoder.open(self.encoder)
        check_unseen(test, opened.folder, name=opened.name)
        drawn = train.sample(fraction=1.0, shuffle=True, seed=draw).head(rows)
        per_epoch = max(rows // self.settings.batch_size, 1)
        epochs = max(self.settings.epochs, self.sizes.min_steps / per_epoch)
        settings = self.settings.model_copy(update={"method": system.method, "seed": draw, "epochs": epochs})
        classifier = folder / "classifier"
        with bar(f"{name} on {rows:,}") as report:
            trained = finetune(
                self.task, drawn, opened, classifier, settings=settings, adapter=system.adapter, report=report
            )
        metrics, predicted = evaluate(Classifier.from_pretrained(classifier), test, drop_overlap=False)
        with atomic_file(folder / "predictions.parquet") as path:
            predicted.select("labels").write_parquet(path)
        shutil.rmtree(classifier)
        return {"micro_f1": metrics.micro_f1, "macro_f1": metrics.macro_f1, "seconds": trained.seconds}

    def _compare(self) -> SizesResult:
        labels, kind = list(self.task.labels), self.task.kind
        gold = multi_hot(pl.read_parquet(self.test)["labels"], labels)
        points = [self._point(rows, gold) for rows in self.rows]
        others = [name for name in self.systems if name != BASE]
        points = _corrected(points, others)
        result = SizesResult(
            task=self.task.name,
            kind=kind,
            test=len(gold),
            titles={name: TITLES[name] for name in self.systems},
            points=tuple(points),
            verdicts={name: self._verdict(name, points) for name in others},
        )
        result.save(self.out / "result" / RESULT)
        write_sizes(result, self.out / "result")
        return result

    def _verdict(self, name: str, points: Sequence[SizePoint]) -> str:
        """A sentence on a system; for the shipped classifier with its own training texts."""
        sentence, folder = size_verdict(name, TITLES[name], points), shipped_folder(SHIPPED)
        if name != "shipped" or folder is None:
            return sentence
        train = pl.read_parquet(self.train)
        seen = len(drop_seen(train, folder)[1])
        trained = f" It was itself trained on {seen:,} of the {len(train):,} training texts."
        return sentence + trained if seen else sentence

    def _point(self, rows: int, gold: np.ndarray) -> SizePoint:
        labels, draws = list(self.task.labels), range(1, self.sizes.draws + 1)
        answers = {
            name: [
                multi_hot(
                    pl.read_parquet(self._folder(name, rows, draw) / "predictions.parquet")["labels"], labels
                )
                for draw in draws
            ]
            for name in self.systems
        }
        systems, differences = {}, {}
        for name, runs in answers.items():
            scores = score_seeds(gold, runs, labels, kind=self.task.kind)
            intervals = score_intervals(gold, runs, labels)
            seconds = [
                read_json(self._folder(name, rows, draw) / RECORD)["result"]["seconds"] for draw in draws
            ]
            systems[name] = SizeScores(
                micro_f1=scores.micro_f1,
                macro_f1=scores.macro_f1,
                intervals=AverageIntervals(micro_f1=intervals.micro_f1, macro_f1=intervals.macro_f1),
                seconds=float(np.mean(seconds)),
            )
            if name != BASE:
                found = compare_answers(gold, answers[BASE], runs, labels, kind=self.task.kind).difference
                differences[name] = SizeDifference(
                    micro_f1=found.micro_f1,
                    macro_f1=found.macro_f1,
                    detectable=detectable(found.macro_f1),
                )
        return SizePoint(rows=rows, draws=self.sizes.draws, systems=systems, differences=differences)


def _key(system: SizedSystem) -> object:
    """What a system's adapter depends on; for one yet to be trained, its steps are among the inputs."""
    there = system.adapter is not None and system.adapter.is_dir()
    return folder_digest(system.adapter) if there and system.adapter else system.adapter is None


def _corrected(points: Sequence[SizePoint], others: Sequence[str]) -> list[SizePoint]:
    """The points with p-values corrected over the sizes, for each system and average."""
    changed = [dict(point.differences) for point in points]
    for name in others:
        for metric in ("micro_f1", "macro_f1"):
            found = [getattr(point.differences[name], metric) for point in points]
            p = holm(np.array([np.nan if one.p is None else one.p for one in found]))
            for place, (one, value) in enumerate(zip(found, p, strict=True)):
                new = one.model_copy(update={"p_holm": float(value)})
                changed[place][name] = changed[place][name].model_copy(update={metric: new})
    return [
        point.model_copy(update={"differences": found}) for point, found in zip(points, changed, strict=True)
    ]


def compare_sizes(
    task: Task,
    data: Path | str,
    encoder: Encoder | Path | str,
    out: Path | str,
    *,
    adapter: Path | str | None = None,
    sizes: SizeSettings | None = None,
    settings: FinetuneSettings | None = None,
    test: Path | str | None = None,
    labels: Path | str | None = None,
    tell: Callable[[str], None] = tell_person,
    bar: Bar = training_bar,
) -> SizesResult:
    """Measure scores by training size: every system on nested training sets of growing size.

    Finished steps are skipped, so that a killed comparison resumes where it stopped.

    Args:
        task: See `load_task`.
        data: A table or snapshot with labelled rows.
        encoder: A folder, a Hub id, or a bundled one such as "embedded:minilm-l6": the base.
        out: The folder of the comparison; `out/result/sizes.json` holds the result.
        adapter: An adapter's folder or its Hub id: the system "adapted".
        sizes: Training sizes, draws of each, and whether to adapt to the task's own texts.
        settings: How weights are trained.
        test: Test rows; without them a fifth of the rows of `data` is held out.
        labels: A table of `nct_id` and `labels`, instead of the labels shipped with the task.
        tell: Called with lines for the user.
        bar: Creates progress bars.

    Returns:
        Scores of every system at every size, differences to the base with intervals, and a sentence each.

    Raises:
        DataError: A file cannot be used, or training rows are among the test rows.
        UsageError: There are fewer rows than the smallest size.
    """
    out, sizes = Path(out), sizes or SizeSettings()
    settings = settings or FinetuneSettings(method="full")
    opened, rows = Encoder.open(encoder), out / "examples"
    trained = read_examples(task, data, labels, quarantine=rows / "train.quarantine.jsonl").trainable
    tested = None
    if test:
        tested = read_examples(task, test, labels, quarantine=rows / "test.quarantine.jsonl").frame
    divide(task, trained, tested, rows, settings=SplitSettings())
    train_file, test_file = rows / "train.parquet", rows / "test.parquet"
    systems = {BASE: SizedSystem("full")}
    if adapter:
        systems["adapted"] = SizedSystem("full", find_adapter(adapter))
    own = None
    if sizes.task_adapt_steps:
        own = TaskAdaptation(train_file, opened.name, out / "task-adapted", sizes.task_adapt_steps)
        systems["task-adapted"] = SizedSystem("full", own.adapter)
    if _shipped_fits(test_file, tell):
        systems["shipped"] = SizedSystem("shipped")
    systems |= {"read-out": SizedSystem("read-out"), "tf-idf": SizedSystem("tf-idf")}
    study = SizeStudy(task, train_file, test_file, opened.name, out, settings, sizes, systems)
    there = study.there
    if not study.rows:
        raise UsageError(f"--train-sizes: there are {there:,} training rows; choose smaller sizes")
    if large := [size for size in sizes.sizes if size and size > there]:
        tell(f"there are {there:,} training rows: no sets of {', '.join(f'{size:,}' for size in large)}")
    inputs = (opened.digest, sha256_of(train_file), sha256_of(test_file), task.describe())
    if own:
        own.step(task.name, *inputs, bar=bar).run(tell)
    records = [step.run(tell) for step in study.steps(*inputs, bar=bar)]
    return SizesResult.model_validate(records[-1]["result"])


def _shipped_fits(test_file: Path, tell: Callable[[str], None]) -> bool:
    """Whether the shipped classifier can be scored: the few test rows seen by it are dropped."""
    folder = shipped_folder(SHIPPED)
    if folder is None:
        return False
    test = pl.read_parquet(test_file)
    unseen, seen = drop_seen(test, folder)
    if len(seen) > _MOST_SEEN * len(test):
        tell(f"the shipped classifier has seen {len(seen):,} of {len(test):,} test rows: it is left out")
        return False
    if len(seen):
        tell(
            f"{len(seen):,} of {len(test):,} test rows were seen by the shipped classifier: left out for all"
        )
        with atomic_file(test_file) as path:
            unseen.write_parquet(path)
    return True
