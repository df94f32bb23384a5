"""Baselines: the majority class, keyword rules, and linear models on simple features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_union

from trialtune.evaluation.metrics import log_loss
from trialtune.tasks.text import Rules


def majority(gold: np.ndarray, rows: int, weights: np.ndarray) -> np.ndarray:
    """The most frequent label set of the training rows' `gold` [rows, labels], for each of `rows`.

    `weights` are how many rows each training row represents.
    """
    sets, places = np.unique(gold, axis=0, return_inverse=True)
    best = np.bincount(places.ravel(), weights=weights).argmax()
    return np.repeat(sets[[best]], rows, axis=0)


def apply_rules(
    rules: Rules, texts: Sequence[str], labels: Sequence[str], *, kind: str, otherwise: np.ndarray
) -> np.ndarray:
    """Boolean [texts, labels]: every label whose pattern occurs in the text.

    A text without any, or for multi-class with more than one, gets `otherwise` [labels].
    """
    found = np.array(
        [[label in rules and bool(rules[label].search(text)) for label in labels] for text in texts],
        dtype=bool,
    ).reshape(len(texts), len(labels))
    count = found.sum(axis=1)
    unclear = count == 0 if kind == "multi_label" else count != 1
    found[unclear] = otherwise
    return found


def tf_idf(*, min_df: int = 2) -> FeatureUnion:
    """Unfitted TF-IDF of words and word pairs, and of 3 to 5 characters inside words.

    Terms in fewer than `min_df` texts are left out.
    """
    frequent: dict[str, Any] = {"sublinear_tf": True, "min_df": min_df, "dtype": np.float32}
    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), **frequent),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), **frequent),
    )


@dataclass(frozen=True)
class Linear:
    """Logistic regression on fixed features: a binary model for each label, or one over all classes."""

    kind: str
    labels: int
    models: Sequence[LogisticRegression | float]  # for a label that no row or every row has: its share

    def probabilities(self, features: Any) -> np.ndarray:
        """Probabilities [rows, labels] of `features` [rows, any], dense or sparse."""
        rows = features.shape[0]
        if self.kind == "multi_label":
            columns = [
                np.full(rows, model) if isinstance(model, float) else model.predict_proba(features)[:, 1]
                for model in self.models
            ]
            return np.column_stack(columns)
        table = np.zeros((rows, self.labels))
        [model] = self.models
        if isinstance(model, float):
            table[:, int(model)] = 1
        else:
            table[:, model.classes_] = model.predict_proba(features)
        return table


def fit_linear(
    train: tuple[Any, np.ndarray],
    calibration: tuple[Any, np.ndarray],
    *,
    kind: str,
    strengths: Sequence[float],
) -> tuple[Linear, float]:
    """Fit on `train`, and the best of `strengths`: (features, boolean gold [rows, labels]) each.

    A strength is scikit-learn's C, larger for less regularisation; the best has the least log loss on
    the `calibration` rows.
    """
    features, gold = train
    fitted = {strength: _fit(features, gold, kind, strength) for strength in strengths}
    losses = {
        strength: log_loss(model.probabilities(calibration[0]), calibration[1])
        for strength, model in fitted.items()
    }
    best = min(losses, key=lambda strength: losses[strength])
    return fitted[best], best


def _fit(features: Any, gold: np.ndarray, kind: str, strength: float) -> Linear:
    def model(target: np.ndarray) -> LogisticRegression | float:
        if target.min() == target.max():
            return float(target[0])
        return LogisticRegression(C=strength, max_iter=1000).fit(features, target)

    targets = gold.T if kind == "multi_label" else [gold.argmax(axis=1)]
    return Linear(kind, gold.shape[1], [model(target) for target in targets])
