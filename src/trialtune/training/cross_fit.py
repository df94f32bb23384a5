"""Cross-validation of linear classifiers: out-of-fold predictions and scores."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trialtune.evaluation.decision import Decided
from trialtune.evaluation.metrics import Metrics, log_loss, score
from trialtune.evaluation.prior_shift import log_prior_shift, shift_priors
from trialtune.evaluation.thresholds import tune_decision
from trialtune.tasks.task import Task
from trialtune.training.linear import Inputs, LinearClassifier, Material

MOST = 3_000  # maximum training rows of a linear classifier: with more, trained weights are better
TRAINED_ON, LEFT_OUT = -1, -2  # fold numbers of rows never scored; neither used for training nor scored
RARE = 5  # a label with up to this many rows gets its definition as an extra row


@dataclass(frozen=True)
class LabelledRows:
    """Rows for training and scoring: in folds, or in a training and a test part."""

    task: Task
    texts: Sequence[str]
    gold: np.ndarray  # boolean [rows, labels]
    weights: np.ndarray | None  # how many rows each represents, where they were sampled evenly
    fold: np.ndarray  # [rows]; from 0, or `TRAINED_ON`, `LEFT_OUT`

    @property
    def labels(self) -> list[str]:
        return list(self.task.labels)

    @property
    def folds(self) -> int:
        return int(self.fold.max()) + 1

    @property
    def scored(self) -> np.ndarray:
        """The scored rows, boolean [rows]."""
        held: np.ndarray = self.fold >= 0
        return held

    def but(self, fold: int | None) -> np.ndarray:
        """The indices of the training rows: all but those of a fold, or all."""
        return np.flatnonzero((self.fold != LEFT_OUT) & (self.fold != fold if fold is not None else True))

    def definitions(self) -> list[str]:
        """Each label as a text: its name and definition."""
        named = [(label.replace("_", " "), meaning) for label, meaning in self.task.labels.items()]
        return [f"{name}: {meaning}" if meaning else name for name, meaning in named]

    def training(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The training rows: `rows`, and the definitions of labels that are rare among them; with their gold.

        Definitions are numbered as texts after the last row.
        """
        rare = np.flatnonzero(self.gold[rows].sum(axis=0) <= RARE)
        defined = np.eye(len(self.labels), dtype=bool)[rare]
        return np.append(rows, len(self.texts) + rare), np.concatenate([self.gold[rows], defined])

    def shifted(self, probabilities: np.ndarray, trained: np.ndarray) -> np.ndarray:
        """Probabilities of a classifier trained on the rows `trained`, shifted to the true class shares."""
        shift = self.shift(trained)
        return shift_priors(probabilities, shift) if shift.any() else probabilities

    def shift(self, rows: np.ndarray) -> np.ndarray:
        """The correction of evenly sampled classes to their true shares, to add to the logits [labels]."""
        if self.weights is None or self.task.kind != "multi_class":
            return np.zeros(len(self.labels))
        return log_prior_shift(self.gold[rows], self.weights[rows])


@dataclass(frozen=True)
class Tried:
    """Out-of-fold predictions of classifiers of one kind for the scored rows."""

    probabilities: np.ndarray  # [scored rows, labels]
    seconds: float
    strength: float | None = None

    def scores(self, rows: LabelledRows) -> tuple[Metrics, float]:
        """Scores and log loss, with each fold's decision tuned on the others, or a single one's on itself."""
        gold, fold = rows.gold[rows.scored], rows.fold[rows.scored]
        weights = None if rows.weights is None else rows.weights[rows.scored]
        kind, labels = rows.task.kind, rows.labels
        said = np.zeros_like(gold)
        stated = np.zeros(gold.shape)
        for number in range(rows.folds):
            here = fold == number
            others = ~here if rows.folds > 1 else here
            decision = tune_decision(
                self.probabilities[others],
                gold[others],
                kind=kind,
                labels=labels,
                weights=None if weights is None else weights[others],
            )
            decided: Decided = decision.apply(self.probabilities[here])
            said[here], stated[here] = decided.labels, decided.probabilities
        return score(gold, said, labels, kind=kind, probabilities=stated), log_loss(stated, gold)


def cross_fit(
    rows: LabelledRows, material: Material, inputs: Inputs, strengths: Sequence[float]
) -> list[Tried]:
    """Classifiers on `inputs`, one per strength and fold; `material` has the rows' texts and definitions."""
    start = time.perf_counter()
    said = np.zeros((len(strengths), *rows.gold.shape))
    for number in range(rows.folds):
        train, held = rows.but(number), rows.fold == number
        for place, one in enumerate(fitted(rows, material, inputs, train, strengths)):
            found = one.probabilities()[: len(rows.texts)][held]
            said[place][held] = rows.shifted(found, train)
    seconds = (time.perf_counter() - start) / len(strengths)
    return [Tried(said[place][rows.scored], seconds, strength) for place, strength in enumerate(strengths)]


def fitted(
    rows: LabelledRows, material: Material, inputs: Inputs, train: np.ndarray, strengths: Sequence[float]
) -> list[LinearClassifier]:
    """Classifiers trained on the rows `train`, and the definitions of labels that are rare there."""
    texts, gold = rows.training(train)
    return material.fit(inputs, texts, gold, kind=rows.task.kind, strengths=strengths)
