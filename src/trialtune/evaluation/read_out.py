"""One linear layer on fixed features: logistic regression, as the weights of a graph's last node."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression

from trialtune.evaluation.decision import to_probabilities

STRENGTH = 100.0  # scikit-learn's C where a row of features has a mean square of 1 in all
_RAREST = 1e-3  # share of the rows that a label is taken to have when none has it


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


def fit_read_out(
    features: Any,
    gold: np.ndarray,
    *,
    kind: str,
    strength: float = STRENGTH,
    weights: np.ndarray | None = None,
) -> ReadOut:
    """Fit on `features` [rows, any], dense or sparse, and boolean `gold` [rows, labels].

    Dense features are brought to mean 0 and variance 1 first, and together to a mean square of 1, as rows
    of TF-IDF have it; the layer that is returned takes them as they were. `strength` is scikit-learn's C:
    larger is less regularised. `weights` [rows] count a row more or less. A label that no row has, or
    every row, gets a bias alone. 300 rows of 1,536 features and 17 labels take a third of a second.
    """
    if issparse(features):
        return _fit(features, gold, kind, strength, weights)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scale = 1 / (np.where(spread > 0, spread, 1) * np.sqrt(features.shape[1]))
    fitted = _fit((features - mean) * scale, gold, kind, strength, weights)
    slopes = fitted.weights * scale[:, None]
    return ReadOut(kind, slopes, fitted.bias - mean @ slopes)


def _fit(features: Any, gold: np.ndarray, kind: str, strength: float, weights: np.ndarray | None) -> ReadOut:
    slopes, bias = np.zeros((features.shape[1], gold.shape[1])), _log_odds_of(gold)
    targets = [*gold.T] if kind == "multi_label" else [gold.argmax(axis=1)]
    for label, target in enumerate(targets):
        if target.min() == target.max():
            continue
        model = LogisticRegression(C=strength, max_iter=1000).fit(features, target, sample_weight=weights)
        if kind == "multi_label":
            slopes[:, label], bias[label] = model.coef_[0], model.intercept_[0]
        elif len(model.classes_) == 2:  # scikit-learn tells two classes by one column
            slopes[:, model.classes_] = np.outer(model.coef_[0], (-0.5, 0.5))
            bias[model.classes_] = model.intercept_[0] * np.array((-0.5, 0.5))
        else:
            slopes[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return ReadOut(kind, slopes, bias)


def _log_odds_of(gold: np.ndarray) -> np.ndarray:
    """A bias for labels that no row or every row has: the log-odds of a share near 0 or 1."""
    share = np.clip(gold.mean(axis=0), _RAREST, 1 - _RAREST)
    odds: np.ndarray = np.log(share) - np.log1p(-share)
    return odds
