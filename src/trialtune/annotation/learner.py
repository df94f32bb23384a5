"""What learns from the answers while they are given, in seconds."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


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


def stacked(parts: Sequence[Any]) -> Any:
    """Features, one below the other."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    from scipy.sparse import vstack  # noqa: PLC0415 - only for sparse ones

    return vstack(parts, format="csr")
