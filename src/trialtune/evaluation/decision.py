"""The decision rule from logits to labels, tuned on a calibration fold and stored with the classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trialtune.errors import DataError
from trialtune.files import read_json, write_json

DECISION_FILE = "decision.json"

_KINDS = ("multi_label", "multi_class")
_SURE = 1e-6  # beyond this a float32 sigmoid saturates


def to_probabilities(logits: np.ndarray, kind: str) -> np.ndarray:
    """Logits [rows, labels] to probabilities: sigmoid for multi-label, softmax for multi-class."""
    # NumPy's own, so that labelling needs no SciPy.
    if kind == "multi_label":
        sigmoids: np.ndarray = np.exp(-np.logaddexp(0, -logits))
        return sigmoids
    odds = np.exp(logits - logits.max(axis=1, keepdims=True)) if len(logits) else logits
    probabilities: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return probabilities


def log_odds(probabilities: np.ndarray, kind: str) -> np.ndarray:
    """The inverse, up to a constant per row: log-odds for multi-label, log-probabilities for multi-class."""
    clipped = np.clip(probabilities.astype(float), _SURE, 1 - _SURE)
    odds: np.ndarray = np.log(clipped)
    return odds - np.log1p(-clipped) if kind == "multi_label" else odds


@dataclass(frozen=True)
class Calibration:
    """One slope and bias per label, applied to log-odds (multi-label) or log-probabilities (multi-class)."""

    slopes: tuple[float, ...]
    biases: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.slopes) != len(self.biases):
            raise DataError(f"{len(self.slopes)} slopes and {len(self.biases)} biases; each label needs both")
        if not all(slope > 0 for slope in self.slopes) or not np.isfinite([*self.slopes, *self.biases]).all():
            raise DataError("calibration slopes must lie above 0, and biases be numbers")

    def __call__(self, probabilities: np.ndarray, *, kind: str) -> np.ndarray:
        """Calibrated probabilities [rows, labels], float64."""
        moved = log_odds(probabilities, kind) * self.slopes + self.biases
        return to_probabilities(moved, kind)


@dataclass(frozen=True)
class Decided:
    """Calibrated probabilities, labels and review flags, row by row."""

    probabilities: np.ndarray  # [rows, labels], calibrated
    labels: np.ndarray  # [rows, labels], boolean
    needs_review: np.ndarray  # [rows], boolean


@dataclass(frozen=True)
class Decision:
    """How a classifier's probabilities become labels. Every method takes uncalibrated probabilities.

    First they are calibrated. Multi-label: every label whose calibrated probability reaches its
    threshold; with `at_least_one`, a row without any gets the label with the greatest probability
    / threshold. Multi-class: the most probable label, no thresholds. A row needs review when the
    least certain answer (any label's yes or no; the chosen class) has a probability below
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
        """Calibrate, decide, flag for review; raises DataError when columns and labels do not match."""
        calibrated = self.calibrate(probabilities)
        decided = self._choose(calibrated)
        return Decided(calibrated, decided, self.confidence(calibrated, decided) < self.review_below)

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
        # Compared as ratios, so that the fallback below agrees with the rule despite rounding.
        ratios = calibrated / np.array(self.thresholds)
        decided: np.ndarray = ratios >= 1
        if self.at_least_one:
            decided |= _first_best(ratios) & ~decided.any(axis=1, keepdims=True)
        return decided

    def confidence(self, calibrated: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """Probability of each row's least certain answer [rows]."""
        if self.kind == "multi_class":
            top: np.ndarray = calibrated.max(axis=1)
            return top
        least: np.ndarray = np.where(decided, calibrated, 1 - calibrated).min(axis=1)
        return least

    def save(self, folder: Path) -> None:
        """Write `decision.json` into `folder`."""
        write_json(folder / DECISION_FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path, labels: Sequence[str] | None = None) -> "Decision":
        """Read `decision.json`; raises DataError when it is missing, broken or not about `labels`."""
        path = folder / DECISION_FILE
        content = read_json(path)
        remedy = "train the classifier again with `trialtune finetune`"
        try:
            decision = cls._from(content)
        except KeyError as error:
            raise DataError(f"{path}: the field {error} is missing; {remedy}") from error
        except (AttributeError, TypeError, ValueError, DataError) as error:
            raise DataError(f"{path}: {error}; {remedy}") from error
        if labels is not None and decision.labels != tuple(labels):
            raise DataError(
                f"{path}: its labels ({', '.join(decision.labels)}) are not the classifier's"
                f" ({', '.join(labels)}); {remedy}"
            )
        return decision

    @classmethod
    def _from(cls, content: Mapping[str, Any]) -> "Decision":
        fitted = content["calibration"]
        return cls(
            kind=content["kind"],
            labels=tuple(map(str, content["labels"])),
            thresholds=tuple(map(float, content["thresholds"])),
            at_least_one=bool(content["at_least_one"]),
            calibration=fitted
            and Calibration(tuple(map(float, fitted["slopes"])), tuple(map(float, fitted["biases"]))),
            review_below=float(content["review_below"]),
        )


def _first_best(values: np.ndarray) -> np.ndarray:
    chosen = np.zeros(values.shape, dtype=bool)
    chosen[np.arange(len(values)), values.argmax(axis=1)] = True
    return chosen
