"""Scoring what `adapt` left gives the numbers that `adapt` gave, with and without a head of its own."""

import shutil

import polars as pl
import pytest
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from trialtune.dataset.seen import drop_seen, write_seen
from trialtune.errors import DataError
from trialtune.stages.adapt import adapt
from trialtune.stages.mlm import score_mlm
from trialtune.stages.settings import AdaptSettings
from trialtune.training.settings import TrainSettings

STEPS = TrainSettings(steps=10, batch_size=4, learning_rate=1e-2, precision="fp32")


@pytest.fixture(scope="module")
def headless(tiny_encoder, tmp_path_factory) -> str:
    """The tiny encoder as sentence encoders come: without a masked-language-model head."""
    folder = tmp_path_factory.mktemp("headless") / "encoder"
    AutoModel.from_pretrained(tiny_encoder, add_pooling_layer=False).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("encoder", ["tiny_encoder", "headless"])
def test_an_adapter_scores_as_it_did_in_training(encoder, corpus, request, tmp_path) -> None:
    name = request.getfixturevalue(encoder)
    trained = adapt(corpus, name, tmp_path / "adapter", settings=AdaptSettings(train=STEPS))
    scores = score_mlm(corpus, name, adapter=tmp_path / "adapter")
    last = trained.history[-1]
    assert scores.loss == pytest.approx(last.loss, rel=1e-4)
    assert scores.sections.keys() == last.sections.keys()
    assert scores.loss < trained.history[0].loss
    assert (tmp_path / "adapter" / "mlm_head.safetensors").is_file() == (encoder == "headless")


def test_the_head_of_a_sentence_encoder_is_trained_beside_the_adapter(corpus, headless, tmp_path) -> None:
    adapt(corpus, headless, tmp_path / "a", settings=AdaptSettings(train=STEPS))
    head = load_file(tmp_path / "a" / "mlm_head.safetensors")
    assert {"cls.predictions.bias", "cls.predictions.transform.dense.weight"} <= head.keys()
    vocabulary = head["cls.predictions.bias"].shape[0]
    assert not any(value.ndim == 2 and vocabulary in value.shape for value in head.values())
    adapter = load_file(tmp_path / "a" / "adapter_model.safetensors")
    assert all("lora_" in name for name in adapter)


def test_full_training_scores_as_it_did(corpus, headless, tmp_path) -> None:
    settings = AdaptSettings(method="full", train=STEPS)
    trained = adapt(corpus, headless, tmp_path / "full", settings=settings)
    scores = score_mlm(corpus, str(tmp_path / "full"))
    assert scores.loss == pytest.approx(trained.history[-1].loss, rel=1e-4)
    assert not (tmp_path / "full" / "seen.parquet").exists()


def test_what_the_encoder_has_seen_goes_along(corpus, headless, tmp_path) -> None:
    shutil.copytree(headless, tmp_path / "e")
    rows = pl.DataFrame({"nct_id": ["NCT00000001"], "text": ["slow recruitment"]})
    write_seen(rows, tmp_path / "e")
    adapt(corpus, tmp_path / "e", tmp_path / "full", settings=AdaptSettings(method="full", train=STEPS))
    assert len(drop_seen(rows, tmp_path / "full")[1]) == 1


def test_an_encoder_without_a_head_cannot_be_scored(corpus, headless) -> None:
    with pytest.raises(DataError, match=r"no masked-language-model head.*trialtune adapt"):
        score_mlm(corpus, headless)


def test_more_tokens_than_embeddings(corpus, tiny_encoder, tmp_path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    AutoModel.from_pretrained(tiny_encoder).save_pretrained(tmp_path / "e")
    tokenizer.add_tokens(["pembrolizumab"])
    tokenizer.save_pretrained(tmp_path / "e")
    with pytest.raises(DataError, match="tokens, its embeddings only"):
        score_mlm(corpus, str(tmp_path / "e"))
