"""The fair experiment: the same classifier on the base and on the adapted encoder, seed by seed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.evaluate import evaluate
from trialtune.classifier.folder import TRAINING_FILE
from trialtune.classifier.prediction import probabilities_of
from trialtune.console import tell as tell_person
from trialtune.dataset.holdout import SplitSettings, divide
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.overlap import check_no_overlap, mlm_overlap, near_overlap
from trialtune.dataset.reading import read_examples
from trialtune.dataset.seen import check_unseen
from trialtune.evaluation.comparison import ComparedRows, ComparisonResult, SystemSummary
from trialtune.evaluation.intervals import AverageIntervals, score_intervals, score_seeds
from trialtune.evaluation.intervals import compare as compare_answers
from trialtune.evaluation.metrics import Evaluation
from trialtune.evaluation.slices import Slice, scores_by
from trialtune.evaluation.training_result import TrainingResult
from trialtune.evaluation.verdict import verdict
from trialtune.experiment.baselines import TITLES, Baselines
from trialtune.experiment.step import Step
from trialtune.files import atomic_file, folder_digest, sha256_of
from trialtune.models.adapters import find_adapter
from trialtune.models.encoders import Encoder
from trialtune.reports.card import Tested, write_card
from trialtune.stages.errors import FILE_NAME as ERRORS_FILE
from trialtune.stages.errors import find_errors
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.task import Task
from trialtune.training.loop import Progress
from trialtune.training.progress import training_bar

SYSTEMS = ("base", "adapted")
Bar = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]


def compare(
    task: Task,
    data: Path | str,
    encoder: Encoder | Path | str,
    adapter: Path | str,
    out: Path | str,
    *,
    settings: FinetuneSettings | None = None,
    test: Path | str | None = None,
    labels: Path | str | None = None,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    drop_overlap: bool = False,
    tell: Callable[[str], None] = tell_person,
    bar: Bar = training_bar,
) -> ComparisonResult:
    """Measure an adapter's effect: the same classifier on the base and on the adapted encoder.

    Finished steps are skipped, so that a killed comparison resumes where it stopped.

    Args:
        task: See `load_task`.
        data: A table or snapshot with labelled rows.
        encoder: A folder, a Hub id, or a bundled one such as "embedded:minilm-l6".
        adapter: The adapter's folder or its Hub id.
        out: The folder of the comparison; `out/comparison/comparison.json` holds the result.
        settings: How each classifier is trained.
        test: Test rows; without them a fifth of the rows of `data` is held out.
        labels: A table of `nct_id` and `labels`, instead of the labels shipped with the task.
        seeds: Each trains two classifiers.
        drop_overlap: Leave out training rows that are among the test rows, instead of raising an error.
        tell: Called with lines for the user.
        bar: Creates progress bars.

    Returns:
        The scores of every system, differences with intervals, and a verdict in words.

    Raises:
        DataError: Training rows are among the test rows, or a file cannot be used.

    Examples:
        >>> from trialtune import compare, load_task
        >>> result = compare(load_task("stop-reasons"), data, encoder, adapter, out, seeds=[1], settings=fast)
        >>> result.difference.micro_f1.low <= result.difference.micro_f1.high
        True
    """
    out, adapter, settings = Path(out), find_adapter(adapter), settings or FinetuneSettings()
    opened = Encoder.open(encoder)
    rows = out / "examples"
    trained = read_examples(task, data, labels, quarantine=rows / "train.quarantine.jsonl").trainable
    tested = None
    if test:
        tested = read_examples(task, test, labels, quarantine=rows / "test.quarantine.jsonl").frame
        if not drop_overlap:
            check_no_overlap(trained, tested, names=(str(data), str(test)))
    divide(task, trained, tested, rows, settings=SplitSettings())
    train_file, test_file = rows / "train.parquet", rows / "test.parquet"
    comparison = Comparison(task, train_file, test_file, opened.name, adapter, out, settings, seeds)
    files = (sha256_of(train_file), sha256_of(test_file))
    inputs = (opened.digest, folder_digest(adapter), *files, task.describe())
    records = [step.run(tell) for step in comparison.steps(*inputs, bar=bar)]
    return ComparisonResult.model_validate(records[-1]["result"])


@dataclass(frozen=True)
class System:
    """One encoder of a comparison; `key` is what its weights depend on beyond the comparison's inputs.

    `settings` and `seeds` are the comparison's own unless given.
    """

    encoder: str
    adapter: Path | None = None
    key: Any = None
    settings: FinetuneSettings | None = None
    seeds: Sequence[int] = ()


@dataclass(frozen=True)
class Comparison:
    """One task's comparison: the systems, their rows and settings.

    `train` and `test` are Parquet files of `nct_id`, `text`, `labels`. Base and adapted get the
    same rows, head, order, steps and threshold protocol; they differ only in the adapter. `others`
    are fine-tuned on the same rows and listed with them: for example a `control`, adapted by as many
    steps on older text, so that a gain can be attributed to the newer text, or a larger encoder.
    """

    task: Task
    train: Path
    test: Path
    encoder: str
    adapter: Path
    out: Path
    settings: FinetuneSettings
    seeds: Sequence[int]
    others: Mapping[str, System] = field(default_factory=dict)
    corpora: Sequence[Path] = ()  # what the encoders were pre-trained on, to count test trials in it

    @property
    def systems(self) -> dict[str, System]:
        """Every encoder that is fine-tuned, by name."""
        base = System(self.encoder)
        return {"base": base, "adapted": System(self.encoder, self.adapter), **self.others}

    @property
    def baselines(self) -> Baselines:
        """The baselines, on the rows of the first seed's classifiers."""
        settings = self.settings.model_copy(update={"seed": self.seeds[0]})
        return Baselines(
            self.task, self.train, self.test, self.encoder, self.adapter, self.out / "baselines", settings
        )

    def steps(self, *inputs: Any, bar: Bar) -> list[Step]:
        """Score baselines, train and score classifiers, compare; `inputs` are the keys of their inputs."""
        baselines = self.baselines
        depends = (*inputs, self.seeds[0], self.settings.calibration_share, self.settings.max_length)
        steps = [
            Step(
                f"baseline {self.task.name} {name}",
                baselines.out / name,
                depends,
                partial(baselines.score, name),
            )
            for name in baselines.names
        ]
        for name, seed in self._runs:
            steps += self._classifier(name, seed, inputs, bar)
        keys = tuple(step.key for step in steps)
        steps.append(Step(f"errors {self.task.name}", self.out / "errors", keys, self._errors))
        return [*steps, Step(f"compare {self.task.name}", self.out / "comparison", keys, self._compare)]

    def _classifier(self, name: str, seed: int, inputs: tuple[Any, ...], bar: Bar) -> list[Step]:
        title = f"{self.task.name} {name} seed {seed}"
        system, scores = self.systems[name], self._scores(name, seed)
        folder = self._folder("classifiers", name, seed)
        settings = (system.settings or self.settings).of_weights().model_copy(update={"seed": seed})
        own = () if system.key is None else (system.key,)

        def train() -> TrainingResult:
            rows, test = pl.read_parquet(self.train), pl.read_parquet(self.test)
            check_no_overlap(rows, test)
            encoder = Encoder.open(system.encoder)
            check_unseen(test, encoder.folder, name=encoder.name)
            with bar(title) as report:
                return finetune(
                    self.task,
                    rows,
                    encoder,
                    folder,
                    settings=settings,
                    adapter=system.adapter,
                    report=report,
                )

        def score() -> Evaluation:
            metrics, rows = evaluate(Classifier.from_pretrained(folder), pl.read_parquet(self.test))
            with atomic_file(scores / "predictions.parquet") as path:
                rows.write_parquet(path)
            metrics.save(scores / "metrics.json")
            return metrics

        trained = Step(f"finetune {title}", folder, (*inputs, *own, settings), train)
        return [trained, Step(f"score {title}", scores, (trained.key,), score)]

    @property
    def _runs(self) -> list[tuple[str, int]]:
        """Name and seed of every classifier, in the order of training: all systems of a seed together."""
        runs = [(seed, name) for name, system in self.systems.items() for seed in system.seeds or self.seeds]
        places = {name: place for place, name in enumerate(self.systems)}
        return [(name, seed) for seed, name in sorted(runs, key=lambda run: (run[0], places[run[1]]))]

    def _folder(self, part: str, name: str, seed: int) -> Path:
        return self.out / part / f"{name}-seed-{seed}"

    def _scores(self, name: str, seed: int) -> Path:
        return self._folder("scores", name, seed)

    def _errors(self) -> dict[str, int]:
        """The first adapted classifier's errors; their texts stay in the folder."""
        seed = self.seeds[0]
        rows = pl.read_parquet(self._scores("adapted", seed) / "predictions.parquet")
        errors = find_errors(Classifier.from_pretrained(self._folder("classifiers", "adapted", seed)), rows)
        errors.save(self.out / "errors" / ERRORS_FILE)
        return {"rows": errors.n, "wrong": errors.wrong}

    def _slices(self) -> dict[str, tuple[Slice, ...]]:
        """The first adapted classifier's scores by source and, where the topic reveals the sex, by topic."""
        rows = pl.read_parquet(self._scores("adapted", self.seeds[0]) / "predictions.parquet")
        if topic_of := self.task.topic_of:
            rows = rows.with_columns(pl.Series("topic", map(topic_of, rows["text"]), dtype=pl.String))
        return {
            column: tuple(scores_by(rows, column, list(self.task.labels), self.task.kind))
            for column in ("topic", "source")
            if column in rows.columns
        }

    def _compare(self) -> ComparisonResult:
        labels, kind = list(self.task.labels), self.task.kind
        test = pl.read_parquet(self.test)
        gold = multi_hot(test["labels"], labels)
        answers = {
            name: _Answers.read([self._scores(name, seed) for seed in system.seeds or self.seeds], labels)
            for name, system in self.systems.items()
        }
        base, adapted = (answers[name] for name in SYSTEMS)
        stated = (base.probabilities or [], adapted.probabilities or [])
        result = compare_answers(
            gold, base.predicted, adapted.predicted, labels, kind=kind, probabilities=stated
        )
        summary = {
            name: _summary(answer, gold, labels, kind, title=TITLES[name])
            for name in self.baselines.names
            for answer in [_Answers.read([self.baselines.out / name], labels)]
        } | {
            name: _summary(
                answer, gold, labels, kind, title=f"{name.capitalize()}, fine-tuned", fine_tuned=True
            )
            for name, answer in answers.items()
        }
        comparison = ComparisonResult(
            **dict(result),
            task=self.task.name,
            kind=kind,
            labels=tuple(labels),
            n=len(gold),
            seeds=tuple(self.seeds),
            summary=summary,
            verdict=verdict(result.difference),
            slices=self._slices(),
            data=self._rows(test),
        )
        comparison.save(self.out / "comparison" / "comparison.json")
        for name, seed in self._runs:
            scores = Evaluation.load(self._scores(name, seed) / "metrics.json")
            tested = Tested(comparison, name, seed, scores)
            write_card(self._folder("classifiers", name, seed), tested=tested)
        return comparison

    def _rows(self, test: pl.DataFrame) -> ComparedRows:
        """The numbers of rows, and of test rows seen in training."""
        trained = TrainingResult.load(self._folder("classifiers", "base", self.seeds[0]) / TRAINING_FILE)
        scored = [Evaluation.load(self._scores(name, seed) / "metrics.json") for name, seed in self._runs]
        read = [mlm_overlap(test, corpus) for corpus in self.corpora]
        return ComparedRows(
            train=trained.rows.train,
            calibration=trained.rows.calibration,
            test=len(test),
            test_source=self.test.name,
            overlap=sum(metrics.overlap_dropped for metrics in scored),
            near_duplicates=len(near_overlap(pl.read_parquet(self.train), test)),
            mlm_overlap=sum(read) if read else None,
        )


@dataclass(frozen=True)
class _Answers:
    """One system's predictions on the test rows: [rows, labels] per seed; rules have no probabilities."""

    predicted: list[np.ndarray]
    probabilities: list[np.ndarray] | None

    @classmethod
    def read(cls, folders: Sequence[Path], labels: Sequence[str]) -> "_Answers":
        runs = [pl.read_parquet(folder / "predictions.parquet") for folder in folders]
        stated = [probabilities_of(run) for run in runs if not run["probabilities"].null_count()]
        return cls([multi_hot(run["labels"], labels) for run in runs], stated or None)


def _summary(
    answers: _Answers,
    gold: np.ndarray,
    labels: Sequence[str],
    kind: str,
    *,
    title: str,
    fine_tuned: bool = False,
) -> SystemSummary:
    runs = answers.predicted
    scores = score_seeds(gold, runs, labels, kind=kind, probabilities=answers.probabilities)
    intervals = score_intervals(gold, runs, labels)
    return SystemSummary(
        title=title,
        fine_tuned=fine_tuned,
        seeds=len(runs),
        micro_f1=scores.micro_f1,
        macro_f1=scores.macro_f1,
        accuracy=scores.accuracy,
        ece=scores.ece,
        reliability=scores.reliability,
        spread=scores.spread,
        intervals=AverageIntervals(micro_f1=intervals.micro_f1, macro_f1=intervals.macro_f1),
    )
