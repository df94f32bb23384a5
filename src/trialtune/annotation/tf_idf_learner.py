"""The learner that needs nothing but the texts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trialtune.annotation.learner import Model
from trialtune.evaluation.baselines import fit_logistic, tf_idf
from trialtune.tasks.task import Task

_STRENGTH = 10.0  # scikit-learn's C: rows are few and the features sparse


class TfIdfLearner:
    """Logistic regression on TF-IDF of words and parts of words, which are counted in `texts`."""

    name = "TF-IDF with logistic regression"

    def __init__(self, task: Task, texts: Sequence[str]) -> None:
        self._kind = task.kind
        self._counted = tf_idf(min_df=min(2, len(texts))).fit(texts)

    def features(self, texts: Sequence[str]) -> Any:
        """Sparse float32 [texts, n-grams]."""
        return self._counted.transform(texts).tocsr()

    def fit(self, features: Any, gold: np.ndarray) -> Model:
        """A yes/no model for each label, or one over all classes."""
        return fit_logistic(features, gold, kind=self._kind, strength=_STRENGTH)
