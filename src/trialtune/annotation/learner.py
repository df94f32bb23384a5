"""Models trained on the answers during annotation, within seconds."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class Model(Protocol):
    """A model trained on some answers."""

    def probabilities(self, features: Any) -> np.ndarray:
        """Probabilities [rows, labels] of `features` [rows, any]."""


class Learner(Protocol):
    """A way to train on answers."""

    name: str  # for display

    def features(self, texts: Sequence[str]) -> Any:
        """The features of texts: an array or a sparse matrix [texts, any]."""

    def fit(self, features: Any, gold: np.ndarray) -> Model:
        """A model of `features` [rows, any] and boolean `gold` [rows, labels]."""


def stacked(parts: Sequence[Any]) -> Any:
    """Features, stacked row-wise."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    from scipy.sparse import vstack  # noqa: PLC0415 - only for sparse ones

    return vstack(parts, format="csr")


def likeness(features: Any, others: Any) -> np.ndarray:
    """Cosines [rows, other rows] of features, dense or sparse."""
    products = features @ others.T
    dense = products if isinstance(products, np.ndarray) else products.toarray()
    lengths = np.outer(_lengths(features), _lengths(others))
    cosines: np.ndarray = dense / np.maximum(lengths, 1e-12)
    return cosines


def _lengths(features: Any) -> np.ndarray:
    squares = features**2 if isinstance(features, np.ndarray) else features.power(2)
    lengths: np.ndarray = np.sqrt(np.asarray(squares.sum(axis=1)).ravel())
    return lengths


def meanings(labels: Mapping[str, str]) -> list[str]:
    """Each label's name and definition, as a text."""
    return [f"{label.replace('_', ' ')}. {definition}" for label, definition in labels.items()]
