"""Linear classifiers on the shipped one: their graphs answer as they do, long texts included."""

import numpy as np
import onnxruntime
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from trialtune.classifier.frozen_features import FrozenFeatures, all_depths
from trialtune.classifier.windows import token_batches
from trialtune.evaluation.decision import to_probabilities
from trialtune.models.onnx_signature import INPUTS, OUTPUT
from trialtune.stages.foundations import inputs_of, shipped_foundation
from trialtune.training.linear import Inputs, Material

REASONS = ["slow accrual", "the sponsor ran out of money", "two patients died of liver failure", "covid-19"]
TEXTS = [f"{reason} at site {number}" for number in range(12) for reason in REASONS]
LONG = "slow accrual and no more money. " * 30


@pytest.fixture(scope="module")
def material() -> Material:
    foundation = shipped_foundation()
    inputs = [*inputs_of(foundation, "shipped"), *inputs_of(foundation, "tf-idf")]
    return Material.of(foundation, [*TEXTS, LONG], inputs, max_length=24)


def gold_of(kind: str) -> np.ndarray:
    gold = np.eye(4, dtype=bool)[np.arange(len(TEXTS)) % 4]
    if kind == "multi_label":
        gold = gold | gold[:, [3, 0, 1, 2]]
    return gold


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
@pytest.mark.parametrize("place", range(6))
def test_the_graph_says_what_the_classifier_says(material, kind, place) -> None:
    foundation = material.foundation
    inputs = [*inputs_of(foundation, "shipped"), *inputs_of(foundation, "tf-idf")][place]
    rows = np.arange(len(TEXTS))
    [classifier] = material.fit(inputs, rows, gold_of(kind), kind=kind, strengths=[30.0])
    shift = np.array([0.5, 0, -1, 0])
    graph = classifier.graph(shift).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    logits = np.empty((len(material.windows.distinct), 4), dtype=np.float32)
    for places, batch in token_batches(material.windows.distinct, foundation.pad_id, tokens=256):
        [logits[places]] = session.run([OUTPUT], {name: batch[name] for name in INPUTS})
    found = to_probabilities(material.windows.join(logits - shift, kind=kind), kind)
    np.testing.assert_allclose(found, classifier.probabilities(), atol=1e-5)
    assert len(material.windows.used) > len(TEXTS) + 5  # the last text has many windows


def test_it_is_the_regression_that_scikit_learn_fits(material) -> None:
    """From the texts on: features of a graph, scaled, and beside them TF-IDF as it is."""
    depths = tuple(all_depths(material.foundation.depth))
    gold, rows = gold_of("multi_label"), np.arange(len(TEXTS))
    [classifier] = material.fit(Inputs("", depths, 1), rows, gold, kind="multi_label", strengths=[30.0])
    features = FrozenFeatures.of_classifier("stop-reasons", max_length=24).of(TEXTS)
    assert classifier.pieces is not None
    pieces = classifier.pieces.transform(
        [material.windows.distinct[one] for one in material.windows.used[rows]]
    )
    dense = StandardScaler().fit_transform(features.astype(float)) / np.sqrt(features.shape[1])
    table = csr_matrix(np.hstack([dense, pieces.toarray()]))
    for label in range(4):
        model = LogisticRegression(C=30.0, max_iter=1000).fit(table, gold[:, label])
        said = classifier.probabilities()[rows, label]
        np.testing.assert_allclose(said, model.predict_proba(table)[:, 1], atol=2e-3)


def test_a_text_of_several_windows_is_trained_on_whole(material) -> None:
    last = len(TEXTS)
    rows, gold = np.append(np.arange(8), last), np.eye(2, dtype=bool)[[0, 1] * 4 + [1]]
    [classifier] = material.fit(Inputs("", (), 1), rows, gold, kind="multi_class", strengths=[30.0])
    assert classifier.pieces is not None
    known = {piece for [piece] in classifier.pieces.ngrams}
    windows = material.windows
    mine = {piece for place in windows.used[windows.starts[last] :] for piece in windows.distinct[place]}
    assert mine <= known
    assert classifier.probabilities()[last].argmax() == 1
