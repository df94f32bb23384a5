"""TF-IDF of word pieces as a graph, against scikit-learn on the words that the tokenizer makes."""

from itertools import chain

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from trialtune.models.onnx_features import FeatureGraph
from trialtune.models.onnx_signature import FEATURES, INPUTS, OUTPUT
from trialtune.models.piece_weights import PieceWeights

TEXTS = [
    "recruitment was slow, slow and slow",
    "funding ran out",
    "the sponsor decided that funding was out",
    "adverse events in women",
    "slow recruitment of women",
]


@pytest.fixture(scope="module")
def rows(tiny_tokenizer) -> list[list[int]]:
    return [tiny_tokenizer(text)["input_ids"] for text in TEXTS]


def run(graph: onnx.ModelProto, output: str, rows: list[list[int]], pad: int) -> np.ndarray:
    """All rows in one batch, padded."""
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.full((len(rows), max(map(len, rows)) + 3), pad)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)], mask[place, : len(row)] = row, 1
    [found] = session.run([output], dict(zip(INPUTS, (ids, mask), strict=True)))
    return found


def expected(rows: list[list[int]], longest: int) -> np.ndarray:
    """The same by scikit-learn alone, on the ids as words; columns by the n-grams' length, then their ids."""
    vectorizer = TfidfVectorizer(
        ngram_range=(1, longest),
        sublinear_tf=True,
        min_df=2 if longest > 1 else 1,
        token_pattern=r"\d+",
        norm="l2",
    )
    table = vectorizer.fit_transform([" ".join(map(str, row)) for row in rows]).toarray()
    grams = [tuple(map(int, name.split())) for name in vectorizer.get_feature_names_out()]
    return table[:, sorted(range(len(grams)), key=lambda place: (len(grams[place]), grams[place]))]


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_the_graph_gives_what_scikit_learn_gives(rows, tiny_tokenizer, longest) -> None:
    weights = PieceWeights.fit(rows, longest=longest)
    wanted = expected(rows, longest)
    np.testing.assert_allclose(weights.transform(rows).toarray(), wanted, atol=1e-6)
    graph = FeatureGraph(None)
    graph.add_pieces(weights)
    assert graph.width == wanted.shape[1]
    found = run(graph.features(), FEATURES, rows, tiny_tokenizer.pad_token_id)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_unknown_pieces_and_a_text_of_none_count_nothing(rows, tiny_tokenizer) -> None:
    weights = PieceWeights.fit([row[1:-1] for row in rows[:2]], longest=1)
    graph = FeatureGraph(None)
    graph.add_pieces(weights)
    others = [sorted(set(chain(*rows[2:])) - set(chain(*rows[:2]))), rows[0]]
    found = run(graph.features(), FEATURES, others, tiny_tokenizer.pad_token_id)
    assert not found[0].any()
    np.testing.assert_allclose(np.linalg.norm(found[1]), 1, atol=1e-6)


def test_a_head_is_put_on_the_features(rows, tiny_tokenizer) -> None:
    weights = PieceWeights.fit(rows, longest=1)
    graph = FeatureGraph(None)
    graph.add_pieces(weights)
    generator = np.random.default_rng(0)
    slopes, bias = generator.normal(size=(graph.width, 4)), generator.normal(size=4)
    found = run(graph.classifier(slopes, bias), OUTPUT, rows, tiny_tokenizer.pad_token_id)
    np.testing.assert_allclose(found, weights.transform(rows) @ slopes + bias, atol=1e-5)
