"""Training by linear classifiers on frozen layers or word pieces, and the choice of the method."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from trialtune.classifier.folder import TRAINING_FILE, ClassifierFolder
from trialtune.classifier.graph_folder import write_graph_folder
from trialtune.console import is_first_process
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.seen import add_foundation_seen, add_seen, drop_seen, write_seen
from trialtune.dataset.splits import fold_numbers, group_rows
from trialtune.errors import DataError
from trialtune.evaluation.thresholds import tune_decision
from trialtune.evaluation.training_result import TrainingResult, TrainingRows
from trialtune.files import atomic_folder
from trialtune.reports.card import write_card
from trialtune.stages.aside import keep_aside
from trialtune.stages.choice import FOLDED, Choice, Option
from trialtune.stages.foundations import SHIPPED
from trialtune.stages.settings import FinetuneSettings
from trialtune.stages.weighed import Weights
from trialtune.tasks.task import TASK_FILE, Task
from trialtune.tasks.text import normalize_text
from trialtune.training.cross_fit import LEFT_OUT, MOST, TRAINED_ON, LabelledRows, fitted

if TYPE_CHECKING:
    from trialtune.models.encoders import Encoder
    from trialtune.training.loop import Progress

log = logging.getLogger(__name__)

_LEAST_GROUPS = 10  # of near-duplicate rows: with fewer, nothing can be chosen or scored
_FOLDS = 5
_NAMED = 5  # labels that a note names


def finetune_linear(
    task: Task,
    examples: pl.DataFrame,
    encoder: "Encoder | Path | str",
    out: Path,
    *,
    settings: FinetuneSettings,
    report: "Callable[[Progress], None] | None" = None,
) -> TrainingResult:
    """`finetune` with the linear methods and with "auto".

    Up to `FOLDED` rows are all scored out of fold, and the decision is tuned on these out-of-fold
    predictions; of more rows a share is held out. Where "auto" has the time, weights are
    also trained, and scored on as many folds as there is time for.
    """
    start = time.perf_counter()
    gold = multi_hot(examples["labels"], list(task.labels))
    notes = [*_check_labels(task, gold), *_contradictions(task, examples)]
    _warn(task, notes)
    rows = _rows(task, examples, gold, settings)
    with ExitStack() as opened:
        choice = Choice(rows, settings, encoder, opened)
        choice.try_all()
        best = choice.best()
        if settings.method == "auto":
            trained = Weights(choice, examples, out, report).ahead_of(best, notes)
            if trained:
                return trained
        made = _Made(rows, examples, choice, best)
        _warn(task, made.notes)
        return made.write(out, [*notes, *made.notes], start)


@dataclass(frozen=True)
class _Made:
    """The chosen linear classifier, and the candidates."""

    rows: LabelledRows
    examples: pl.DataFrame
    choice: Choice
    best: Option

    @property
    def task(self) -> Task:
        """The task, with the classifier's window length in tokens."""
        return replace(self.rows.task, max_length=self.best.material.max_length)

    @cached_property
    def notes(self) -> list[str]:
        """Notes on how the rows are used."""
        found = []
        left = int((self.rows.fold == LEFT_OUT).sum())
        if left:
            found.append(
                f"{left:,} rows were not used: a linear layer uses at most {MOST:,}; --method full uses all"
            )
        material, foundation = self.best.material, self.best.material.foundation
        pieces = np.diff(np.append(material.windows.starts, len(material.windows.used)))
        long = int((pieces[: len(self.examples)] > 1).sum())
        if long:
            found.append(f"{long:,} texts are longer than {material.max_length} tokens: split into windows")
        seen = self._seen_by_shipped
        if foundation.name == SHIPPED and self.best.inputs.layers and seen:
            found.append(
                f"{seen:,} of the {len(self.examples):,} texts are among the training texts of the shipped"
                " classifier: it is more certain on them than on new ones, and the scores may be too high."
                " Not affected: `tf-idf`, and trials stopped after November 2021"
            )
        return found

    def write(self, out: Path, notes: Sequence[str], start: float) -> TrainingResult:
        """Train it on all training rows, and write its folder."""
        rows, best = self.rows, self.best
        train = rows.but(0 if rows.folds == 1 else None)
        assert best.tried.strength is not None
        [classifier] = fitted(rows, best.material, best.inputs, train, [best.tried.strength])
        gold, weights = rows.gold[rows.scored], rows.weights
        decision = tune_decision(
            best.tried.probabilities,
            gold,
            kind=rows.task.kind,
            labels=rows.labels,
            weights=None if weights is None else weights[rows.scored],
        )
        seconds, tokens = time.perf_counter() - start, self.choice.tokens
        chosen = self.choice.scores_of(best)
        summary = TrainingResult(
            task=rows.task.name,
            method=best.method,
            encoder=chosen.reads,
            adapter=None,
            teachers=(),
            max_length=best.material.max_length,
            rows=TrainingRows(train=len(train), calibration=len(gold)),
            tokens=tokens,
            tokens_per_s=tokens / seconds,
            seconds=seconds,
            kept_step=0,
            calibration=best.tried.scores(rows)[0],
            folds=rows.folds if rows.folds > 1 else 0,
            choice=self.choice.table(best),
            notes=tuple(notes),
            settings=self.choice.settings.model_dump(mode="json"),
        )
        foundation = best.material.foundation
        if not is_first_process():
            return summary
        with atomic_folder(out) as folder:
            write_graph_folder(
                folder,
                classifier.graph(rows.shift(train)),
                foundation.folder,
                task=self.task,
                decision=decision,
            )
            write_seen(self.examples, folder)
            if best.inputs.layers:
                # The shipped classifier has not seen labels of other schemes.
                others = foundation.name == SHIPPED and not self._same_labels(foundation.folder)
                (add_foundation_seen if others else add_seen)(foundation.folder, folder)
            summary.save(folder / TRAINING_FILE)
            write_card(folder)
        return summary

    @cached_property
    def _seen_by_shipped(self) -> int:
        return len(drop_seen(self.examples, self.best.material.foundation.folder)[1])

    def _same_labels(self, folder: Path) -> bool:
        """Whether `folder` is a classifier of the same labels, trained on its own rows."""
        return (folder / TASK_FILE).is_file() and ClassifierFolder.open(folder).decision.labels == tuple(
            self.rows.labels
        )


def _warn(task: Task, notes: Sequence[str]) -> None:
    for note in notes:
        log.warning("%s: %s", task.name, note)


def _rows(task: Task, examples: pl.DataFrame, gold: np.ndarray, settings: FinetuneSettings) -> LabelledRows:
    if len(examples) > FOLDED:
        numbered = examples.with_row_index("_row")
        aside = keep_aside(task, numbered, settings)[1]["_row"].to_numpy()
        fold = np.full(len(examples), TRAINED_ON)
        fold[aside] = 0
        others = np.random.default_rng(settings.seed).permutation(np.flatnonzero(fold == TRAINED_ON))
        fold[others[MOST:]] = LEFT_OUT
    else:
        groups = len(group_rows(examples))
        if groups < _LEAST_GROUPS:
            raise DataError(
                f"{task.name}: {len(examples)} labelled rows have {groups} distinct texts (near-duplicates"
                f" count once); at least {_LEAST_GROUPS} are needed for training: label more"
            )
        fold = fold_numbers(examples, folds=_FOLDS, seed=settings.seed, kind=task.kind)
    weights = examples["weight"].to_numpy() if "weight" in examples.columns else None
    return LabelledRows(task, examples["text"].to_list(), gold, weights, fold)


def _check_labels(task: Task, gold: np.ndarray) -> list[str]:
    """Notes on the labels; raises DataError when there is nothing to learn."""
    counts = gold.sum(axis=0)
    if (gold == gold[0]).all():
        held = " and ".join(label for label, holds in zip(task.labels, gold[0], strict=True) if holds)
        raise DataError(
            f"{task.name}: all {len(gold)} rows have the label {held}: add rows with other labels"
        )
    wordings = {0: "no row", 1: "only one row"}
    found = []
    for number, words in wordings.items():
        labels = [label for label, count in zip(task.labels, counts, strict=True) if count == number]
        if labels:
            more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
            named = f"{', '.join(labels[:_NAMED])}{more}"
            found.append(f"{words} for {named}: little but the definition of such a label can be learnt")
    return found


def _contradictions(task: Task, examples: pl.DataFrame) -> list[str]:
    """Texts of several rows with different labels."""
    labels_of: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for text, labels in examples.select("text", "labels").iter_rows():
        labels_of[normalize_text(text)].add(tuple(sorted(labels)))
    several = sum(len(labels) > 1 for labels in labels_of.values())
    return (
        [f"{several:,} texts have different labels in different rows: all rows are kept"] if several else []
    )
