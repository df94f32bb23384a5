"""Fits thresholds, calibration and review rule on a calibration fold."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trialtune.errors import DataError
from trialtune.evaluation.calibration import effective_weights, fit_calibration
from trialtune.evaluation.decision import Decision
from trialtune.evaluation.metrics import check_shapes

_UNSURE = 0.75  # an answer less probable than this is wrong too often to be accepted
_LOWEST = 0.15  # lower bound, for classes that are rare in the fold


def tune_decision(
    probabilities: np.ndarray,
    gold: np.ndarray,
    *,
    kind: str,
    labels: Sequence[str],
    weights: np.ndarray | None = None,
    review_accuracy: float = 0.95,
    most_reviewed: float = 0.5,
) -> Decision:
    """Fit a decision on a calibration fold: `probabilities` and boolean `gold`, [rows, labels].

    Give `weights` [rows] when the fold's classes are not sampled in proportion. Raises DataError when
    shapes disagree, or when a multi-class row does not have exactly one class.

    Calibration: see `fit_calibration`. Thresholds (multi-label): a class whose best reachable F1 is F
    has the optimal threshold F / 2 on calibrated probabilities (Lipton et al., 2014,
    arXiv:1402.1892). That is best for the mean over classes, while 1/2 is best for exactly right
    rows and about so for micro-F1, where predicting a rare class too readily costs; so each threshold is
    their geometric mean, sqrt(F) / 2. F is the value expected from the probabilities, not the one that
    the fold's few positives of a rare class happen to reach: a search for each class's best threshold
    overfits. Tuned on one half of held-out stop reasons and scored on the other (six models,
    20 halves of 970 or 1,943 rows each), this against 0.5: micro-F1 +0.0011 (model by model +0.0001
    to +0.0023), macro-F1 +0.013 (+0.006 to +0.031). Each class's best threshold, shrunk by 20 positives
    towards a common one: -0.0014 (-0.0031 to +0.0013) and +0.004 (0 to +0.008).

    At least one label is required when every row of the fold has one.

    Review: as few rows as leave at least `review_accuracy` of the others (weighted) with exactly
    the right labels, and no more than the share `most_reviewed` (selective classification: Geifman
    and El-Yaniv, 2017, arXiv:1705.08500). In any case, a row whose answer is less probable
    than 0.75 is reviewed, if such rows are no more than that share.
    """
    check_shapes(labels, probabilities=probabilities, gold=gold)
    if kind == "multi_class" and not (gold.sum(axis=1) == 1).all():
        raise DataError("each calibration row of a multi-class task needs exactly one class")
    counts = effective_weights(weights, len(gold))
    calibration = fit_calibration(probabilities, gold, kind=kind, weights=weights)
    decision = Decision(
        kind,
        tuple(labels),
        _thresholds(calibration(probabilities, kind=kind), counts) if kind == "multi_label" else (),
        at_least_one=bool(gold.any(axis=1).all()),
        calibration=calibration,
    )
    settled = decision.apply(probabilities)
    confidence = decision.confidence(settled.probabilities, settled.labels)
    right = (settled.labels == gold).all(axis=1)
    below = _review_below(confidence, right, counts, accuracy=review_accuracy, most=most_reviewed)
    return replace(decision, review_below=below)


def expected_f1(probabilities: np.ndarray, weights: np.ndarray) -> float:
    """The best expected F1 of calibrated probabilities [rows] of one label, over all thresholds.

    The expected hits among the k most probable rows are their summed probability: F1 is about
    2 * hits / (k + all positives expected).
    """
    order = np.argsort(-probabilities, kind="stable")
    taken = np.cumsum(weights[order])
    hits = np.cumsum((weights * probabilities)[order])
    return float((2 * hits / (taken + hits[-1])).max())


def _thresholds(calibrated: np.ndarray, weights: np.ndarray) -> tuple[float, ...]:
    reachable = np.array([expected_f1(column, weights) for column in calibrated.T])
    return tuple(np.maximum(np.sqrt(reachable) / 2, _LOWEST).tolist())


def _review_below(
    confidence: np.ndarray, right: np.ndarray, weights: np.ndarray, *, accuracy: float, most: float
) -> float:
    """The least confidence at which a row is accepted; 0 when any is."""
    order = np.argsort(-confidence, kind="stable")
    accepted = np.cumsum(weights[order])
    reached = np.cumsum((weights * right)[order]) / accepted >= accuracy
    reached |= accepted <= (1 - most) * accepted[-1]
    last = np.append(np.diff(confidence[order]) != 0, True)  # rows of equal confidence are treated alike
    good = np.flatnonzero(reached & last)
    if not len(good):
        return float(confidence.max())
    unsure = _UNSURE if weights[confidence < _UNSURE].sum() <= most * accepted[-1] else 0.0
    return max(unsure, 0.0 if good[-1] == len(order) - 1 else float(confidence[order][good[-1]]))
