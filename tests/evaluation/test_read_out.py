"""A linear layer on features: what scikit-learn's own pipeline says, as plain weights."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trialtune.evaluation.read_out import fit_read_out


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Features of very different scales, one of them constant, and the class that they tell of."""
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 3, 60)
    features = generator.normal(classes[:, None], 1.0, (60, 5)) * (1, 10, 0.01, 3, 0) + (0, 5, 0, -2, 7)
    return features, np.eye(3, dtype=bool)[classes]


@pytest.mark.parametrize("kind", ["multi_class", "multi_label"])
def test_it_says_what_a_scaled_logistic_regression_says(rows, kind) -> None:
    features, gold = rows
    found = fit_read_out(features, gold, kind=kind, strength=10).probabilities(features)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=10 / 5, max_iter=1000))
    if kind == "multi_class":
        expected = model.fit(features, gold.argmax(axis=1)).predict_proba(features)
    else:
        expected = np.column_stack([model.fit(features, one).predict_proba(features)[:, 1] for one in gold.T])
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_two_classes_are_told_apart_by_a_softmax(rows) -> None:
    features, gold = rows
    two = ~gold[:, 2]
    gold = gold[two][:, [0, 2, 1]]  # a class in the middle that no row has
    sparse = csr_matrix(features[two])
    found = fit_read_out(sparse, gold, kind="multi_class").probabilities(sparse)
    target = gold.argmax(axis=1)
    expected = LogisticRegression(C=100, max_iter=1000).fit(sparse, target).predict_proba(sparse)
    np.testing.assert_allclose(found[:, [0, 2]], expected, atol=0.02)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_labels_that_none_or_all_have_get_a_bias(rows) -> None:
    features, gold = rows
    gold = gold.copy()
    gold[:, 0], gold[:, 1] = False, True
    found = fit_read_out(features, gold, kind="multi_label").probabilities(features)
    assert (found[:, 0] < 0.01).all() and (found[:, 1] > 0.99).all()
    assert found[:, 2].std() > 0.1
