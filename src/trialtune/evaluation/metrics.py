"""Metrics of one set of predictions, per class and on average."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trialtune.errors import DataError
from trialtune.results import Result

_BINS = 15


class ClassMetrics(Result):
    """Scores of one class, or of an average over them; None for a class without a gold example."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class Averages(Result):
    """The four ways to average over classes and rows."""

    micro: ClassMetrics
    macro: ClassMetrics
    weighted: ClassMetrics
    samples: ClassMetrics


class ReliabilityBin(Result):
    """One bin of a reliability diagram."""

    stated: float  # mean probability
    observed: float  # observed frequency
    count: int


class Metrics(Result):
    """Metrics of one set of predictions.

    `accuracy` is the share of rows whose label set is exactly right; `ece`, the expected calibration
    error, and `reliability` are None where there are no probabilities.
    """

    n: int
    micro_f1: float
    macro_f1: float
    weighted_f1: float
    samples_f1: float
    accuracy: float
    ece: float | None
    reliability: tuple[ReliabilityBin, ...] | None
    per_class: dict[str, ClassMetrics]
    averages: Averages


class ReviewMetrics(Result):
    """The effect of review: the `share` of rows to review, and the scores of the accepted rows.

    `accuracy_accepted` and `micro_f1_accepted` are None when no row, or no label, is accepted.
    """

    share: float
    accuracy_accepted: float | None
    micro_f1_accepted: float | None


class FewMetrics(Result):
    """The scores of a part of the rows."""

    n: int
    micro_f1: float
    macro_f1: float


class Evaluation(Metrics):
    """The scores of a classifier on rows of its task.

    `near_duplicates` counts the rows that are near-duplicates of a training row, None when unknown;
    `without_near_duplicates` has the scores on the others, when there are any of both.
    """

    task: str
    review: ReviewMetrics
    near_duplicates: int | None
    without_near_duplicates: FewMetrics | None
    overlap_dropped: int  # rows left out because they were seen in training
    seen_by_foundation: int = 0  # scored rows seen by the underlying classifier, with other labels


def score(
    gold: np.ndarray,
    predicted: np.ndarray,
    labels: Sequence[str],
    *,
    kind: str,
    probabilities: np.ndarray | None = None,
) -> Metrics:
    """Metrics of `predicted` against `gold`, both boolean [rows, labels]; `probabilities` likewise.

    A class without a gold example is left out of the macro average. Raises DataError when the shapes
    disagree or no row has a label.
    """
    check_shapes(labels, gold=gold, predicted=predicted, probabilities=probabilities)
    *values, support = _scores(gold, predicted, average=None)
    by_class = np.array(values)  # [precision, recall, f1] x labels
    present = support > 0
    if not present.any():
        raise DataError("no scored row has a label")
    total = int(support.sum())
    averages = {
        "micro": _scores(gold, predicted, average="micro")[:3],
        "macro": by_class[:, present].mean(axis=1),
        "weighted": _scores(gold, predicted, average="weighted")[:3],
        "samples": _scores(gold, predicted, average="samples")[:3],
    }
    return Metrics(
        n=len(gold),
        **{f"{name}_f1": float(f1) for name, (_, _, f1) in averages.items()},
        accuracy=float((gold == predicted).all(axis=1).mean()),
        ece=None if probabilities is None else expected_calibration_error(probabilities, gold, kind=kind),
        reliability=None if probabilities is None else reliability(probabilities, gold, kind=kind),
        per_class={
            label: _entry(by_class[:, i] if present[i] else None, support[i])
            for i, label in enumerate(labels)
        },
        averages=Averages(**{name: _entry(values, total) for name, values in averages.items()}),
    )


def expected_calibration_error(probabilities: np.ndarray, gold: np.ndarray, *, kind: str) -> float:
    """Mean gap between predicted and observed probability over 15 bins of equal width (Naeini et al., 2015).

    Multi-label: each label as a binary question, averaged over labels. Multi-class: the top label.
    """
    pairs = zip(*_questions(probabilities, gold, kind), strict=True)
    return float(np.mean([_binned_gap(stated, true) for stated, true in pairs]))


def reliability(probabilities: np.ndarray, gold: np.ndarray, *, kind: str) -> tuple[ReliabilityBin, ...]:
    """The bins of a reliability diagram, in order.

    The same 15 bins and questions as the calibration error's, those of all labels together; empty
    bins are left out. With several seeds, give all their rows at once.
    """
    stated, true = (np.concatenate(part) for part in _questions(probabilities, gold, kind))
    bins = _bins(stated)
    counts = np.bincount(bins, minlength=_BINS)
    sums = (np.bincount(bins, weights=values, minlength=_BINS) for values in (stated, true))
    return tuple(
        ReliabilityBin(stated=float(said / count), observed=float(held / count), count=int(count))
        for said, held, count in zip(*sums, counts, strict=True)
        if count
    )


def review_scores(gold: np.ndarray, predicted: np.ndarray, needs_review: np.ndarray) -> ReviewMetrics:
    """Scores of `predicted` [rows, labels] when the rows marked in `needs_review` [rows] are reviewed."""
    accepted = ~needs_review
    kept, said = gold[accepted], predicted[accepted]
    labels = int(kept.sum() + said.sum())
    return ReviewMetrics(
        share=float(needs_review.mean()),
        accuracy_accepted=float((kept == said).all(axis=1).mean()) if len(kept) else None,
        micro_f1_accepted=float(2 * (kept & said).sum() / labels) if labels else None,
    )


def log_loss(probabilities: np.ndarray, gold: np.ndarray) -> float:
    """Mean binary cross entropy of `probabilities` against boolean `gold`, both [rows, labels]."""
    right = np.where(gold, probabilities, 1 - probabilities)
    return float(-np.log(np.clip(right, 1e-7, None)).mean())


def check_shapes(labels: Sequence[str], **arrays: np.ndarray | None) -> None:
    """Raise DataError unless all arrays (None is skipped) are [rows, labels] with the same rows, > 0."""
    given = {name: array for name, array in arrays.items() if array is not None}
    shapes = {array.shape for array in given.values()}
    wanted = {(rows, len(labels)) for rows in {shape[0] for shape in shapes if shape}}
    if len(shapes) != 1 or shapes != wanted:
        found = ", ".join(f"{name} {array.shape}" for name, array in given.items())
        raise DataError(f"expected equally many rows of {len(labels)} labels each, found {found}")
    if not next(iter(given.values())).size:
        raise DataError("there are no rows to score")


def _questions(
    probabilities: np.ndarray, gold: np.ndarray, kind: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Predicted probability and truth [rows], for each label or for the top one."""
    if kind == "multi_label":
        return list(probabilities.T), list(gold.T)
    top, rows = probabilities.argmax(axis=1), np.arange(len(probabilities))
    return [probabilities[rows, top]], [gold[rows, top]]


def _bins(stated: np.ndarray) -> np.ndarray:
    numbers: np.ndarray = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    return numbers


def _binned_gap(stated: np.ndarray, true: np.ndarray) -> float:
    # |sum of predicted - sum of true| of a bin is its share of rows times its gap, times the row count.
    gaps = np.bincount(_bins(stated), weights=stated - true, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(stated))


def _scores(gold: np.ndarray, predicted: np.ndarray, *, average: str | None) -> tuple[Any, ...]:
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415 - reports do without

    # As 0/1 indicator columns, so that a one-label task is averaged by the same rules.
    result: tuple[Any, ...] = precision_recall_fscore_support(
        gold.astype(np.int8), predicted.astype(np.int8), average=average, zero_division=0
    )
    return result


def _entry(values: Sequence[float] | np.ndarray | None, support: int) -> ClassMetrics:
    precision, recall, f1 = (None,) * 3 if values is None else map(float, values)
    return ClassMetrics(precision=precision, recall=recall, f1=f1, support=int(support))
