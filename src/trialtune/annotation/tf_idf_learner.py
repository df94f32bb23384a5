"""The learner that needs only the texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from trialtune.annotation.learner import Model
from trialtune.evaluation.baselines import Linear, tf_idf
from trialtune.tasks.task import Task

_STRENGTH = 10.0  # scikit-learn's C: rows are few and the features sparse


class TfIdfLearner:
    """Logistic regression on TF-IDF of words and character n-grams, fitted to `texts`."""

    name = "TF-IDF with logistic regression"

    def __init__(self, task: Task, texts: Sequence[str]) -> None:
        self._kind = task.kind
        self._counted = tf_idf(min_df=min(2, len(texts))).fit(texts)

    def features(self, texts: Sequence[str]) -> Any:
        """Sparse float32 [texts, n-grams]."""
        return self._counted.transform(texts).tocsr()

    def fit(self, features: Any, gold: np.ndarray) -> Model:
        """A binary model for each label.

        The intercepts are regularised like the weights (as liblinear does), so the models are unsure
        about a text unlike all answered ones, and it is chosen for annotation.
        """
        models = [_yes_or_no(features, target) for target in gold.T]
        linear = Linear("multi_label", gold.shape[1], models)
        return linear if self._kind == "multi_label" else _OneOfMany(linear)


@dataclass(frozen=True)
class _OneOfMany:
    """One-vs-rest models of exclusive classes."""

    linear: Linear

    def probabilities(self, features: Any) -> np.ndarray:
        """Probabilities [rows, classes] that add up to 1."""
        stated = self.linear.probabilities(features) + 1e-9
        shares: np.ndarray = stated / stated.sum(axis=1, keepdims=True)
        return shares


def _yes_or_no(features: Any, target: np.ndarray) -> LogisticRegression | float:
    if target.min() == target.max():
        return float(target[0])
    return LogisticRegression(C=_STRENGTH, solver="liblinear").fit(features, target)
