"""From probabilities to labels: the rule that is tuned on the calibration fold and kept with a classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trialtune.errors import DataError
from trialtune.evaluation.calibration import Calibration, effective_weights, fit_calibration
from trialtune.evaluation.metrics import check_shapes
from trialtune.files import read_json, write_json

FILE_NAME = "decision.json"

_LOWEST = 0.15  # a class that the fold hardly knows is not given away more cheaply
_KINDS = ("multi_label", "multi_class")


@dataclass(frozen=True)
class Decided:
    """What a decision makes of a classifier's probabilities, row by row."""

    probabilities: np.ndarray  # [rows, labels], calibrated
    labels: np.ndarray  # [rows, labels], boolean
    needs_review: np.ndarray  # [rows], boolean


@dataclass(frozen=True)
class Decision:
    """How a classifier's probabilities become labels. Every method takes them as the classifier gave them.

    First they are calibrated. Multi-label: every label whose calibrated probability reaches its
    threshold; with `at_least_one`, a row that has none gets the label with the greatest probability
    / threshold. Multi-class: the most probable label, no thresholds. A row needs review when the
    answer it is least sure of (any label's yes or no; the chosen class) has a probability below
    `review_below`: a label whose probability lies between 1 - `review_below` and `review_below`.
    """

    kind: str
    labels: tuple[str, ...]
    thresholds: tuple[float, ...] = ()
    at_least_one: bool = True
    calibration: Calibration | None = None
    review_below: float = 0.0

    def __post_init__(self) -> None:
        wanted = len(self.labels) if self.kind == "multi_label" else 0
        if self.kind not in _KINDS or not self.labels:
            raise DataError(f"a decision needs labels and a kind of {' or '.join(_KINDS)}, not {self.kind!r}")
        if len(self.thresholds) != wanted:
            raise DataError(f"{len(self.labels)} {self.kind} labels need {wanted} thresholds")
        if not all(0 < threshold < 1 for threshold in self.thresholds):
            raise DataError("thresholds must lie between 0 and 1")
        if self.calibration and len(self.calibration.slopes) != len(self.labels):
            raise DataError(f"{len(self.labels)} labels need as many calibration slopes and biases")
        if not 0 <= self.review_below <= 1:
            raise DataError("review_below must lie between 0 and 1")

    def apply(self, probabilities: np.ndarray) -> Decided:
        """Calibrate, decide and mark; raises DataError when the columns are not this decision's labels."""
        calibrated = self.calibrate(probabilities)
        decided = self._choose(calibrated)
        return Decided(calibrated, decided, self._confidence(calibrated, decided) < self.review_below)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """The labels alone, boolean [rows, labels]; raises DataError as `apply` does."""
        return self.apply(probabilities).labels

    def calibrate(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [rows, labels]; raises DataError as `apply` does."""
        if probabilities.ndim != 2 or probabilities.shape[1] != len(self.labels):
            raise DataError(f"probabilities {probabilities.shape} do not fit {len(self.labels)} labels")
        if np.isnan(probabilities).any():
            raise DataError("a probability is not a number; the classifier's training has failed")
        return self.calibration(probabilities, kind=self.kind) if self.calibration else probabilities

    def _choose(self, calibrated: np.ndarray) -> np.ndarray:
        if self.kind == "multi_class":
            return _first_best(calibrated)
        # Compared as ratios, so that the fallback below agrees with the rule in every rounding case.
        ratios = calibrated / np.array(self.thresholds)
        decided: np.ndarray = ratios >= 1
        if self.at_least_one:
            decided |= _first_best(ratios) & ~decided.any(axis=1, keepdims=True)
        return decided

    def _confidence(self, calibrated: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """Probability of each row's least sure answer [rows]."""
        if self.kind == "multi_class":
            top: np.ndarray = calibrated.max(axis=1)
            return top
        least: np.ndarray = np.where(decided, calibrated, 1 - calibrated).min(axis=1)
        return least

    def save(self, folder: Path) -> None:
        """Write `decision.json` into `folder`."""
        write_json(folder / FILE_NAME, asdict(self))

    @classmethod
    def load(cls, folder: Path, labels: Sequence[str] | None = None) -> "Decision":
        """Read `decision.json`; raises DataError when it is missing, broken or not about `labels`.

        A file of an earlier version, without calibration and review, decides as it did then.
        """
        path = folder / FILE_NAME
        content = read_json(path)
        mend = "train the classifier again with `trialtune finetune`"
        try:
            decision = cls._from(content)
        except KeyError as error:
            raise DataError(f"{path}: the field {error} is missing; {mend}") from error
        except (AttributeError, TypeError, ValueError, DataError) as error:
            raise DataError(f"{path}: {error}; {mend}") from error
        if labels is not None and decision.labels != tuple(labels):
            raise DataError(
                f"{path}: its labels ({', '.join(decision.labels)}) are not the classifier's"
                f" ({', '.join(labels)}); {mend}"
            )
        return decision

    @classmethod
    def _from(cls, content: Mapping[str, Any]) -> "Decision":
        fitted = content.get("calibration")
        return cls(
            kind=content["kind"],
            labels=tuple(map(str, content["labels"])),
            thresholds=tuple(map(float, content["thresholds"])),
            at_least_one=bool(content["at_least_one"]),
            calibration=fitted
            and Calibration(tuple(map(float, fitted["slopes"])), tuple(map(float, fitted["biases"]))),
            review_below=float(content.get("review_below", 0.0)),
        )


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
    """The decision that suits a calibration fold: `probabilities` and boolean `gold`, [rows, labels].

    Give `weights` [rows] when the fold's classes are not drawn as they occur. Raises DataError when
    shapes disagree, or when a multi-class row has not one class.

    Calibration: see `fit_calibration`. Thresholds (multi-label): a class whose best reachable F1 is F
    has the optimal threshold F / 2 on calibrated probabilities (Lipton et al., 2014,
    arXiv:1402.1892). That is best for the mean over classes, while 1/2 is best for exactly right
    rows and about so for micro-F1, where a rare class taken too readily costs; so each class stands
    at their geometric mean, sqrt(F) / 2. F is what the probabilities lead one to expect, not what
    the fold's few positives of a rare class happen to reach: a search for each class's best cut
    follows chance. Tuned on one half of held-out stop reasons and scored on the other (six models,
    20 halves of 970 or 1,943 rows each), this against 0.5: micro-F1 +0.0011 (model by model +0.0001
    to +0.0023), macro-F1 +0.013 (+0.006 to +0.031). Each class's best cut, shrunk by 20 positives
    towards a common one: -0.0014 (-0.0031 to +0.0013) and +0.004 (0 to +0.008).

    At least one label is required when every row of the fold has one.

    Review: as few rows as leave at least `review_accuracy` of the others (weighted) with exactly
    the right labels, and no more than the share `most_reviewed` (selective classification: Geifman
    and El-Yaniv, 2017, arXiv:1705.08500).
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
    confidence = decision._confidence(settled.probabilities, settled.labels)
    right = (settled.labels == gold).all(axis=1)
    below = _review_below(confidence, right, counts, accuracy=review_accuracy, most=most_reviewed)
    return replace(decision, review_below=below)


def expected_f1(probabilities: np.ndarray, weights: np.ndarray) -> float:
    """The best F1 that calibrated probabilities [rows] of one label promise, over all cuts.

    Taking the k most probable rows, one expects their summed probability as hits: F1 is about
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
    """The least confidence at which a row is accepted; 0 when all are."""
    order = np.argsort(-confidence, kind="stable")
    accepted = np.cumsum(weights[order])
    reached = np.cumsum((weights * right)[order]) / accepted >= accuracy
    reached |= accepted <= (1 - most) * accepted[-1]
    last = np.append(np.diff(confidence[order]) != 0, True)  # rows of like confidence share their fate
    good = np.flatnonzero(reached & last)
    if not len(good):
        return float(confidence.max())
    return 0.0 if good[-1] == len(order) - 1 else float(confidence[order][good[-1]])


def _first_best(values: np.ndarray) -> np.ndarray:
    chosen = np.zeros(values.shape, dtype=bool)
    chosen[np.arange(len(values)), values.argmax(axis=1)] = True
    return chosen
