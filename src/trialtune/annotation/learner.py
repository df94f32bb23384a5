"""What learns from the answers while they are given, in seconds."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from trialtune.evaluation.baselines import fit_logistic, tf_idf
from trialtune.tasks.task import Task

_STRENGTH = 10.0  # scikit-learn's C: rows are few and the features sparse


class Model(Protocol):
    """What was learnt from some answers."""

    def probabilities(self, features: Any) -> np.ndarray:
        """Probabilities [rows, labels] of `features` [rows, any]."""


class Learner(Protocol):
    """How answers are learnt from."""

    name: str  # for a person

    def features(self, texts: Sequence[str]) -> Any:
        """What the texts are told apart by: an array or a sparse matrix [texts, any]."""

    def fit(self, features: Any, gold: np.ndarray) -> Model:
        """A model of `features` [rows, any] and boolean `gold` [rows, labels]."""


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


def stacked(parts: Sequence[Any]) -> Any:
    """Features, one below the other."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    from scipy.sparse import vstack  # noqa: PLC0415 - only for sparse ones

    return vstack(parts, format="csr")
