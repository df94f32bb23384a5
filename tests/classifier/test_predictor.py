"""Fast scoring equals the plain `transformers` path, in order, repeats included."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from trialtune.classifier.onnx_backend import OnnxBackend
from trialtune.classifier.predictor import Predictor
from trialtune.classifier.torch_backend import open_weights
from trialtune.errors import DataError
from trialtune.models.encoders import Encoder
from trialtune.models.onnx_export import write_graph
from trialtune.models.sequence_classifier import (
    build_classifier,
    load_classifier,
    shift_bias,
    start_bias,
)

LABELS = ["Slow", "Funding", "Safety"]
TEXTS = ["slow recruitment", "funding ran out " * 9, "", "slow recruitment", "adverse events", "dose"]


@pytest.fixture(params=["multi_label", "multi_class"])
def folder(request, tiny_encoder, tiny_tokenizer, tmp_path):
    model = build_classifier(Encoder.open(tiny_encoder), LABELS, kind=request.param, seed=1)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_equals_the_plain_forward_pass(folder) -> None:
    predictor = open_weights(folder, max_length=32, precision="fp32")
    ours = predictor.probabilities(TEXTS)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text, row in zip(TEXTS, ours, strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(text, truncation=True, max_length=32, return_tensors="pt")).logits[0]
        expected = logits.sigmoid() if predictor.kind == "multi_label" else logits.softmax(0)
        np.testing.assert_allclose(row, expected.numpy(), atol=1e-5)


def test_plain_pipeline_gives_the_same_scores(folder) -> None:
    predictor = open_weights(folder, max_length=128, precision="fp32")
    plain = pipeline("text-classification", model=str(folder), top_k=None)
    texts = [text for text in TEXTS if text]
    for text, row in zip(texts, predictor.probabilities(texts), strict=True):
        scores = {entry["label"]: entry["score"] for entry in plain([text])[0]}
        np.testing.assert_allclose(row, [scores[label] for label in predictor.labels], atol=1e-5)
        if predictor.kind == "multi_class":
            assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("graph", [False, True])
def test_long_texts_are_read_whole_and_progress_counts_texts(folder, graph) -> None:
    if graph:
        model, _ = load_classifier(folder)
        write_graph(model, folder / "model.onnx")
        backend = OnnxBackend(folder / "model.onnx", labels=len(LABELS))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        kind = open_weights(folder, max_length=16, precision="fp32").kind
        predictor = Predictor(backend, tokenizer, pad_id=0, labels=LABELS, kind=kind, max_length=16)
    else:
        predictor = open_weights(folder, max_length=16, precision="fp32")
    texts = [
        "slow recruitment " * 40 + "adverse events " * 20,
        "slow recruitment " * 40,
        *TEXTS,
        "SLOW recruitment",
    ] * 20
    counts: list[int] = []
    found = predictor.probabilities(texts, progress=counts.append)
    assert sum(counts) == len(texts)
    assert not np.array_equal(found[0], found[1])  # the end counts
    np.testing.assert_array_equal(found[: len(texts) // 20], found[-len(texts) // 20 :])
    np.testing.assert_array_equal(found[2], found[8])  # case is nothing to this tokeniser
    alone = np.concatenate([predictor.probabilities([text]) for text in texts[:9]])
    np.testing.assert_allclose(alone, found[:9], atol=1e-5)


def test_odd_texts_are_scored(folder) -> None:
    texts = ["", " ", "\0", "a\0b", "سبب التوقف", "🧪" * 50, "\u200f", "x" * 1_000_000, "word " * 200_000]
    found = open_weights(folder, max_length=32, precision="auto").probabilities(texts)
    assert np.isfinite(found).all() and found.shape == (len(texts), 3)


def test_nothing_in_nothing_out(folder) -> None:
    assert open_weights(folder, max_length=32, precision="auto").probabilities([]).shape == (0, 3)


def test_a_folder_that_is_no_classifier(tmp_path) -> None:
    with pytest.raises(DataError, match="finetune"):
        open_weights(tmp_path, max_length=32, precision="auto")


def test_base_and_adapted_start_from_the_same_head(tiny_encoder) -> None:
    first, second = (
        build_classifier(Encoder.open(tiny_encoder), LABELS, kind="multi_label", seed=4) for _ in range(2)
    )
    assert torch.equal(first.classifier.weight, second.classifier.weight)
    other = build_classifier(Encoder.open(tiny_encoder), LABELS, kind="multi_label", seed=5)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
def test_a_fresh_head_starts_at_the_base_rates(tiny_encoder, kind) -> None:
    model = build_classifier(Encoder.open(tiny_encoder), LABELS, kind=kind)
    if kind == "multi_label":
        start_bias(model, torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]]))
        torch.testing.assert_close(model.classifier.bias.sigmoid(), torch.tensor([0.75, 0.5, 0.25]))
    else:
        start_bias(model, torch.eye(3)[[0, 0, 1, 2]])
        torch.testing.assert_close(model.classifier.bias.softmax(0), torch.tensor([0.5, 0.25, 0.25]))


def test_shifted_shares_are_the_posterior_under_the_true_shares(tiny_encoder) -> None:
    model = build_classifier(Encoder.open(tiny_encoder), LABELS, kind="multi_class").eval()
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        before = model(input_ids=ids).logits.softmax(-1)
        ratio = torch.tensor([2.0, 1.0, 0.25])
        shift_bias(model, ratio.log())
        after = model(input_ids=ids).logits.softmax(-1)
    expected = before * ratio
    torch.testing.assert_close(after, expected / expected.sum(-1, keepdim=True))
