"""A linear layer on features: what scikit-learn's own pipeline says, as plain weights."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trialtune.evaluation.read_out import fit_read_out, fit_read_outs


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
        target = gold.argmax(axis=1)
        counted = np.bincount(target)[target] ** -0.5
        counted *= len(target) / counted.sum()
        fitted = model.fit(features, target, logisticregression__sample_weight=counted)
        expected = fitted.predict_proba(features)
    else:
        expected = np.column_stack([model.fit(features, one).predict_proba(features)[:, 1] for one in gold.T])
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_two_classes_are_told_apart_by_a_softmax(rows) -> None:
    features, gold = rows
    first, second = (np.flatnonzero(gold[:, label])[:15] for label in (0, 1))
    two = np.concatenate([first, second])
    gold = gold[two][:, [0, 2, 1]]  # a class in the middle that no row has
    sparse = csr_matrix(features[two])
    [model] = fit_read_outs([sparse], gold, kind="multi_class", strengths=[1.0])
    found = model.probabilities(sparse)
    expected = LogisticRegression(C=1.0).fit(sparse, gold.argmax(axis=1)).predict_proba(sparse)
    np.testing.assert_allclose(found[:, [0, 2]], expected, atol=2e-3)
    np.testing.assert_allclose(found[:, 1], 0, atol=2e-3)


@pytest.mark.parametrize("kind", ["multi_class", "multi_label"])
def test_more_features_than_rows_and_sparse_ones_beside_them(kind) -> None:
    generator = np.random.default_rng(1)
    dense, sparse = generator.normal(2, 3, (20, 90)), csr_matrix(generator.random((20, 40)) * 0.2)
    gold = np.eye(4, dtype=bool)[np.arange(20) % 4]
    [found] = fit_read_outs([dense, sparse], gold, kind=kind, strengths=[10.0])
    table = np.hstack([StandardScaler().fit_transform(dense) / np.sqrt(90), sparse.toarray()])
    model = LogisticRegression(C=10.0, max_iter=1000, tol=1e-6)
    if kind == "multi_class":
        expected = model.fit(table, gold.argmax(axis=1)).predict_proba(table)
    else:
        expected = np.column_stack([model.fit(table, one).predict_proba(table)[:, 1] for one in gold.T])
    features = csr_matrix(np.hstack([dense, sparse.toarray()]))
    np.testing.assert_allclose(found.probabilities(features), expected, atol=2e-3)


def test_labels_that_none_or_all_have_get_a_bias(rows) -> None:
    features, gold = rows
    gold = gold.copy()
    gold[:, 0], gold[:, 1] = False, True
    found = fit_read_out(features, gold, kind="multi_label").probabilities(features)
    assert (found[:, 0] < 0.01).all() and (found[:, 1] > 0.99).all()
    assert found[:, 2].std() > 0.1
