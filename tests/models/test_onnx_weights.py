"""Weights read back from graphs: the model that they were written from."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from trialtune.classifier.classifier import Classifier
from trialtune.models.bundled import SHIPPED, embedded_folder
from trialtune.models.encoders import Encoder
from trialtune.models.onnx_export import write_graph
from trialtune.models.onnx_int8 import quantize
from trialtune.models.onnx_weights import read_weights
from trialtune.models.sequence_classifier import load_classifier

TEXTS = ["slow accrual", "the sponsor ran out of money", "two deaths; covid-19"]


@pytest.mark.parametrize(("form", "most"), [("fp32", 1e-6), ("int8", 0.01)])
def test_they_are_those_of_the_model(make_classifier, tmp_path, form, most) -> None:
    model, _ = load_classifier(make_classifier("stop-reasons", tmp_path / "plain"))
    torch.manual_seed(0)
    for value in model.parameters():  # as training leaves them: of equal ones a graph keeps one
        torch.nn.init.normal_(value, std=0.3)
    write_graph(model, tmp_path / "fp32.onnx")
    quantize(tmp_path / "fp32.onnx", tmp_path / "int8.onnx")
    found = read_weights(tmp_path / f"{form}.onnx")
    wanted = {name: value for name, value in model.state_dict().items() if "position_ids" not in name}
    layers = {name for name in wanted if ".layer." in name or "pooler" in name or "word" in name}
    assert layers <= found.keys() <= wanted.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, wanted[name].numpy(), atol=most * wanted[name].abs().max().item())


def test_the_shipped_classifier_answers_as_its_graph_does(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    encoder = Encoder.open(SHIPPED)
    assert encoder.folder == embedded_folder(SHIPPED)  # made once
    model = AutoModelForSequenceClassification.from_pretrained(encoder.folder).eval()
    with torch.no_grad():
        logits = model(**encoder.tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    said = Classifier.from_pretrained("stop-reasons").raw_probabilities(TEXTS)
    np.testing.assert_allclose(logits.sigmoid().numpy(), said, atol=0.02)
