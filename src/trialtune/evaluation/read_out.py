"""One linear layer on fixed features: logistic regression, as the weights of a graph's last node."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import hstack, issparse
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from trialtune.evaluation.decision import to_probabilities

STRENGTH = 100.0  # scikit-learn's C for features scaled to a mean square of 1 per row
_RAREST = 1e-3  # assumed share of a label that no row has
_BALANCE = 0.5  # exponent of class weights: 0 unweighted, 1 fully balanced
_TINY = 1e-9  # relative to the greatest: directions in which the rows hardly vary


@dataclass(frozen=True)
class ReadOut:
    """A linear layer from features to logits."""

    kind: str
    weights: np.ndarray  # [features, labels]
    bias: np.ndarray  # [labels]

    def logits(self, features: Any) -> np.ndarray:
        """Logits [rows, labels] of `features` [rows, any], dense or sparse."""
        scored: np.ndarray = features @ self.weights + self.bias
        return scored

    def probabilities(self, features: Any) -> np.ndarray:
        """Probabilities [rows, labels]: sigmoids for multi-label, a softmax for multi-class."""
        return to_probabilities(self.logits(features), self.kind)


def fit_read_out(features: Any, gold: np.ndarray, *, kind: str, strength: float = STRENGTH) -> ReadOut:
    """Fit on dense `features` [rows, any] and boolean `gold` [rows, labels].

    They are standardized first, and scaled together to a mean square of 1; the layer
    returned takes the original features. `strength` is scikit-learn's C: larger is less regularised. A label
    that no row or every row has gets only a bias. 300 rows of 1,536 features and 17 labels take a tenth
    of a second.
    """
    return fit_read_outs([features], gold, kind=kind, strengths=[strength])[0]


def fit_read_outs(
    blocks: Sequence[Any], gold: np.ndarray, *, kind: str, strengths: Sequence[float]
) -> list[ReadOut]:
    """`fit_read_out` for several strengths, on concatenated blocks of features.

    Sparse blocks, such as TF-IDF, are used unscaled: their rows have a mean square of 1 already.
    Classes of `multi_class` are weighted by the inverse root of their counts: halfway between
    unweighted and balanced. With fewer rows than features the dual problem is solved, with the same
    result: the weights are always a combination of rows.
    """
    scaled = [_Scaled.of(block) for block in blocks]
    table = _side_by_side([one.values for one in scaled])
    small, back = _among_rows(table)
    found = []
    for strength in strengths:
        with threadpool_limits(
            1, user_api="blas"
        ):  # its threads would spend more time waiting than computing
            slopes, bias = _fit(small, gold, kind, strength)
        slopes = slopes if back is None else back(slopes)
        parts = np.split(slopes, np.cumsum([one.values.shape[1] for one in scaled])[:-1])
        weights = [one.unscaled(part) for one, part in zip(scaled, parts, strict=True)]
        moved = sum(
            one.mean @ part for one, part in zip(scaled, weights, strict=True) if one.mean is not None
        )
        found.append(ReadOut(kind, np.concatenate(weights), bias - moved))
    return found


@dataclass(frozen=True)
class _Scaled:
    """A block, scaled for the regression."""

    values: Any
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None

    @classmethod
    def of(cls, block: Any) -> "_Scaled":
        if issparse(block):
            return cls(block)
        mean, spread = block.mean(axis=0), block.std(axis=0)
        scale = 1 / (np.where(spread > 0, spread, 1) * np.sqrt(block.shape[1]))
        return cls((block - mean) * scale, mean, scale)

    def unscaled(self, slopes: np.ndarray) -> np.ndarray:
        return slopes if self.scale is None else slopes * self.scale[:, None]


def _side_by_side(blocks: Sequence[Any]) -> Any:
    if len(blocks) == 1:
        return blocks[0]
    return hstack(blocks, format="csr") if any(map(issparse, blocks)) else np.hstack(blocks)


def _among_rows(table: Any) -> tuple[Any, Any]:
    """The rows in as many coordinates as there are rows, and the map of slopes back to features."""
    rows, columns = table.shape
    if rows >= columns:
        return table, None
    products = table @ table.T
    values, vectors = np.linalg.eigh(products.toarray() if issparse(products) else products)
    kept = values > _TINY * values[-1]
    lengths = np.sqrt(values[kept])
    return vectors[:, kept] * lengths, lambda slopes: table.T @ (vectors[:, kept] / lengths @ slopes)


def _fit(features: Any, gold: np.ndarray, kind: str, strength: float) -> tuple[np.ndarray, np.ndarray]:
    slopes, bias = np.zeros((features.shape[1], gold.shape[1])), _log_odds_of(gold)
    targets, counted = ([*gold.T], None) if kind == "multi_label" else ([gold.argmax(axis=1)], _balance(gold))
    for label, target in enumerate(targets):
        if target.min() == target.max():
            continue
        model = LogisticRegression(C=strength, max_iter=1000).fit(features, target, sample_weight=counted)
        if kind == "multi_label":
            slopes[:, label], bias[label] = model.coef_[0], model.intercept_[0]
        elif len(model.classes_) == 2:  # scikit-learn has one column for two classes
            slopes[:, model.classes_] = np.outer(model.coef_[0], (-0.5, 0.5))
            bias[model.classes_] = model.intercept_[0] * np.array((-0.5, 0.5))
        else:
            slopes[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return slopes, bias


def _balance(gold: np.ndarray) -> np.ndarray:
    """The weight of each row [rows], 1 on average."""
    weights = gold.sum(axis=0)[gold.argmax(axis=1)] ** -_BALANCE
    balanced: np.ndarray = weights * (len(gold) / weights.sum())
    return balanced


def _log_odds_of(gold: np.ndarray) -> np.ndarray:
    """A bias for labels that no row or every row has: the log-odds of a share near 0 or 1."""
    share = np.clip(gold.mean(axis=0), _RAREST, 1 - _RAREST)
    odds: np.ndarray = np.log(share) - np.log1p(-share)
    return odds
