"""Occlusion finds the words that an answer hangs on, in short texts and in long ones."""

import numpy as np
import pytest
import torch
from transformers import AutoModel

from trialtune.classifier.explain import Question, occlude
from trialtune.classifier.torch_backend import predictor_of
from trialtune.experiment.frozen_features import mean_pooled
from trialtune.models.encoders import Encoder
from trialtune.models.sequence_classifier import build_classifier


class Words:
    """A classifier whose probability of `a` is 0.2, and 0.5 more when the text says funding."""

    labels = ("a", "b")
    calls = 0

    def __call__(self, texts):
        self.calls += 1
        return np.array([[0.2 + 0.5 * ("funding" in text), 0.1] for text in texts]).reshape(-1, 2)


def said(text: str, spans) -> dict[str, float]:
    return {text[span.start : span.end]: round(span.importance, 3) for span in spans}


def test_the_deciding_word_has_all_the_importance() -> None:
    text = "No funding, and slow start-up"
    model = Words()
    first, second = occlude(model, model.labels, [Question(text, "a"), Question(text, "b")])
    assert said(text, first) == {"No": 0, "funding": 0.5, "and": 0, "slow": 0, "start-up": 0}
    assert set(said(text, second).values()) == {0}
    assert model.calls <= 2


def test_a_long_text_is_searched_sentence_by_sentence() -> None:
    sentences = [f"sentence {number} says nothing much of the reason" for number in range(30)]
    sentences[17] = "they had no funding left"
    text = ". ".join(sentences) + "."
    [spans] = occlude(Words(), Words.labels, [Question(text, "a")])
    found = said(text, spans)
    assert found["funding"] == 0.5
    assert 5 <= len(found) <= 40


def test_nothing_asked_nothing_answered() -> None:
    assert occlude(Words(), Words.labels, []) == []
    assert occlude(Words(), Words.labels, [Question("...", "a")]) == [[]]


def test_a_real_classifier_gives_what_leaving_the_word_out_changes(tiny_encoder, tiny_tokenizer) -> None:
    model = build_classifier(Encoder.open(tiny_encoder), ["a", "b"], kind="multi_label", seed=1)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)
    predictor = predictor_of(model, tiny_tokenizer, max_length=32, precision="fp32")
    [spans] = occlude(
        predictor.probabilities, predictor.labels, [Question("slow recruitment of patients", "b")]
    )
    whole, without = predictor.probabilities(["slow recruitment of patients", "slow of patients"])
    assert spans[1].importance == pytest.approx(whole[1] - without[1], abs=1e-6)


def test_mean_pooling_equals_the_plain_way(tiny_encoder) -> None:
    texts = ["slow recruitment", "the sponsor decision was funding", "dose", "slow recruitment"]
    ours = mean_pooled(texts, Encoder.open(tiny_encoder), None, max_length=16, precision="fp32")
    model, tokenizer = Encoder.open(tiny_encoder).load(AutoModel).eval(), Encoder.open(tiny_encoder).tokenizer
    for text, vector in zip(texts, ours, strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        np.testing.assert_allclose(vector, states.mean(dim=0).numpy(), atol=1e-5)
    assert ours.dtype == np.float32
