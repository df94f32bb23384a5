"""From probabilities to labels: the rule that is tuned on the calibration fold and kept with a classifier."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from trialtune.errors import DataError
from trialtune.evaluation.metrics import check_shapes
from trialtune.files import read_json, write_json

FILE_NAME = "decision.json"

# A class with this many positives in the calibration fold stands half on its own threshold.
_SHRINKAGE = 20
_LOWEST, _HIGHEST = 0.01, 0.99
_KINDS = ("multi_label", "multi_class")


@dataclass(frozen=True)
class Decision:
    """How probabilities become labels.

    Multi-label: every label whose probability reaches its threshold; with `at_least_one`, a row that
    has none gets the label with the greatest probability / threshold. Multi-class: the most probable
    label, no thresholds. Logits are divided by `temperature` before they become probabilities.
    """

    kind: str
    labels: tuple[str, ...]
    thresholds: tuple[float, ...] = ()
    at_least_one: bool = True
    temperature: float = 1.0

    def __post_init__(self) -> None:
        wanted = len(self.labels) if self.kind == "multi_label" else 0
        if self.kind not in _KINDS or not self.labels:
            raise DataError(f"a decision needs labels and a kind of {' or '.join(_KINDS)}, not {self.kind!r}")
        if len(self.thresholds) != wanted:
            raise DataError(f"{len(self.labels)} {self.kind} labels need {wanted} thresholds")
        if not all(0 < threshold < 1 for threshold in self.thresholds) or not self.temperature > 0:
            raise DataError("thresholds must lie between 0 and 1, and the temperature above 0")

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Boolean [rows, labels]; raises DataError when the columns are not this decision's labels."""
        if probabilities.ndim != 2 or probabilities.shape[1] != len(self.labels):
            raise DataError(f"probabilities {probabilities.shape} do not fit {len(self.labels)} labels")
        if np.isnan(probabilities).any():
            raise DataError("a probability is not a number; the classifier's training has failed")
        if self.kind == "multi_class":
            return _first_best(probabilities)
        thresholds = np.array(self.thresholds)
        # Compared as ratios, so that the fallback below agrees with the rule in every rounding case.
        ratios = probabilities / thresholds
        decided: np.ndarray = ratios >= 1
        if self.at_least_one:
            decided |= _first_best(ratios) & ~decided.any(axis=1, keepdims=True)
        return decided

    def save(self, folder: Path) -> None:
        """Write `decision.json` into `folder`."""
        write_json(folder / FILE_NAME, asdict(self))

    @classmethod
    def load(cls, folder: Path, labels: Sequence[str] | None = None) -> "Decision":
        """Read `decision.json`; raises DataError when it is missing, broken or not about `labels`."""
        path = folder / FILE_NAME
        content = read_json(path)
        mend = "train the classifier again with `trialtune finetune`"
        try:
            decision = cls(
                kind=content["kind"],
                labels=tuple(map(str, content["labels"])),
                thresholds=tuple(map(float, content["thresholds"])),
                at_least_one=bool(content["at_least_one"]),
                temperature=float(content["temperature"]),
            )
        except KeyError as error:
            raise DataError(f"{path}: the field {error} is missing; {mend}") from error
        except (TypeError, ValueError, DataError) as error:
            raise DataError(f"{path}: {error}; {mend}") from error
        if labels is not None and decision.labels != tuple(labels):
            raise DataError(
                f"{path}: its labels ({', '.join(decision.labels)}) are not the classifier's"
                f" ({', '.join(labels)}); {mend}"
            )
        return decision


def tune_decision(
    probabilities: np.ndarray, gold: np.ndarray, *, kind: str, labels: Sequence[str]
) -> Decision:
    """The decision that suits a calibration fold: `probabilities` and boolean `gold`, [rows, labels].

    Multi-class: the most probable label. Multi-label, for a class with m positives:

        threshold = w * t_class + (1 - w) * t_all,   w = m / (m + 20)

    where t_class maximises F1 of that class and t_all, one threshold for all classes, micro-F1; a
    rare class, whose own best threshold is mostly chance, thus leans on the common one. At least one
    label is required when every row of the fold has one.
    """
    check_shapes(labels, probabilities=probabilities, gold=gold)
    if kind == "multi_class":
        return Decision(kind, tuple(labels))
    common = best_threshold(probabilities.ravel(), gold.ravel(), near=0.5)
    thresholds = []
    for column, truth in zip(probabilities.T, gold.T, strict=True):
        positives = int(truth.sum())
        weight = positives / (positives + _SHRINKAGE)
        own = best_threshold(column, truth, near=common) if positives else common
        thresholds.append(float(np.clip(weight * own + (1 - weight) * common, _LOWEST, _HIGHEST)))
    return Decision(kind, tuple(labels), tuple(thresholds), at_least_one=bool(gold.any(axis=1).all()))


def best_threshold(probabilities: np.ndarray, gold: np.ndarray, *, near: float) -> float:
    """The threshold with the greatest F1 for one yes/no question [rows]; among equals, that nearest `near`.

    Candidates lie halfway between neighbouring distinct probabilities, and below the least.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order].astype(float)
    hits = np.cumsum(gold[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + max(int(hits[-1]), 1))
    cuts = (ranked + np.append(ranked[1:], 0.0)) / 2
    f1[:-1][ranked[:-1] == ranked[1:]] = -1.0  # equal probabilities cannot be told apart
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(cuts[best[np.abs(cuts[best] - near).argmin()]])


def _first_best(values: np.ndarray) -> np.ndarray:
    chosen = np.zeros(values.shape, dtype=bool)
    chosen[np.arange(len(values)), values.argmax(axis=1)] = True
    return chosen
