"""Features of a classifier's graph, against the hidden states that `transformers` gives."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from trialtune.classifier.frozen_features import FrozenFeatures, last_layers
from trialtune.errors import DataError
from trialtune.stages.export import export

TEXTS = [
    "recruitment was slow",
    "funding ran out, and the sponsor of the study had lack of patients and of efficacy",
    "recruitment was slow",
    "adverse events",
]


@pytest.fixture(scope="module")
def folder(make_classifier, tmp_path_factory):
    work = tmp_path_factory.mktemp("features")
    make_classifier("stop-reasons", work / "plain")
    export(work / "plain", work / "graph", form="onnx")
    return work


def states(folder, texts: list[str], layer: int) -> np.ndarray:
    """The mean over a text's tokens of a layer's states, one text at a time, by `transformers`."""
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = []
    for text in texts:
        with torch.no_grad():
            every = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        found.append(every[layer][0].mean(dim=0).numpy())
    return np.stack(found)


def test_features_are_the_mean_states_of_layers(folder) -> None:
    features = FrozenFeatures.of_classifier(folder / "graph", layers=last_layers)
    assert features.width == 96
    expected = np.hstack([states(folder / "plain", TEXTS, layer) for layer in (2, 1, 0)])
    np.testing.assert_allclose(features.of(TEXTS), expected, atol=1e-5)


def test_a_long_text_counts_every_token_alike(folder) -> None:
    features = FrozenFeatures.of_classifier(
        folder / "graph", layers=last_layers, max_length=7
    )  # 5 of the text
    long = "the study of patients with cancer and diabetes in adults"
    parts = [" ".join(long.split()[:5]), " ".join(long.split()[5:])]
    first, second = features.of(parts)
    told: list[int] = []
    [whole] = features.of([long], progress=told.append)
    np.testing.assert_allclose(whole, (first * 7 + second * 7) / 14, atol=1e-5)
    assert sum(told) == 1


def test_weights_alone_are_refused(folder) -> None:
    with pytest.raises(DataError, match="export --format onnx"):
        FrozenFeatures.of_classifier(folder / "plain")
