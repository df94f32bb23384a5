"""The learner for texts like stop reasons: a linear layer on the shipped stop-reason classifier."""

from collections.abc import Sequence

import numpy as np

from trialtune.annotation.learner import Model
from trialtune.classifier.frozen_features import FrozenFeatures
from trialtune.evaluation.read_out import fit_read_out
from trialtune.tasks.task import Task


class ReadOutLearner:
    """Logistic regression on the frozen layers of the shipped stop-reason classifier."""

    name = "linear layer on the shipped stop-reason classifier"

    def __init__(self, task: Task) -> None:
        self._kind = task.kind
        self._frozen = FrozenFeatures.of_classifier("stop-reasons")

    def features(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 [texts, hidden sizes of the layers]."""
        return self._frozen.of(texts)

    def fit(self, features: np.ndarray, gold: np.ndarray) -> Model:
        """A binary model for each label, or one over all classes."""
        return fit_read_out(features, gold, kind=self._kind)
