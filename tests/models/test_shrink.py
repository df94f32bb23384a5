"""Encoders cut down: what is kept computes as before."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from trialtune.errors import UsageError
from trialtune.models.encoders import Encoder
from trialtune.models.settings import ShrinkSettings
from trialtune.models.shrink import shrink

TEXTS = ["recruitment was slow", "Funding ran out; 12 patients", "sponsor decision"]


@torch.no_grad()
def hidden(folder: Path | str, texts: list[str]) -> list[torch.Tensor]:
    """Last hidden states of each text by plain `transformers`."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    return [model(**tokenizer(text, return_tensors="pt")).last_hidden_state for text in texts]


def test_texts_whose_pieces_are_kept_are_read_as_before(tiny_encoder, tmp_path) -> None:
    done = shrink(tiny_encoder, tmp_path / "small", texts=TEXTS)
    assert done.vocabulary[1] < done.vocabulary[0] and done.parameters[1] < done.parameters[0]
    for was, now in zip(hidden(tiny_encoder, TEXTS), hidden(tmp_path / "small", TEXTS), strict=True):
        assert torch.equal(was, now)
    assert AutoTokenizer.from_pretrained(tmp_path / "small").mask_token == "[MASK]"


@pytest.fixture(scope="module")
def small(tiny_encoder, tmp_path_factory) -> Encoder:
    out = tmp_path_factory.mktemp("small") / "encoder"
    shrink(tiny_encoder, out, texts=["slow"])
    return Encoder.open(out)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=30))
def test_any_word_can_still_be_written(small, text) -> None:
    """In letters at the least: nothing of one letter goes."""
    ids = small.tokenizer(text)["input_ids"]
    assert small.tokenizer.unk_token_id not in ids
    assert max(ids) < small.config.vocab_size


def test_layers_are_copied_whole_and_in_order(tiny_encoder, tmp_path) -> None:
    shrink(tiny_encoder, tmp_path / "small", settings=ShrinkSettings(layers=(1,)))
    was, now = (AutoModel.from_pretrained(place) for place in (tiny_encoder, tmp_path / "small"))
    assert now.config.num_hidden_layers == 1
    for name, value in now.encoder.layer[0].state_dict().items():
        assert torch.equal(value, was.encoder.layer[1].state_dict()[name])


def test_the_strongest_neurons_stay(tiny_encoder, tmp_path) -> None:
    was = AutoModel.from_pretrained(tiny_encoder)
    width = was.config.intermediate_size
    with torch.no_grad():  # neurons of no weight: without them all is as before
        for layer in was.encoder.layer:
            layer.intermediate.dense.weight[1::2] = 0
            layer.intermediate.dense.bias[1::2] = 0
            layer.output.dense.weight[:, 1::2] *= 1e-3
    was.save_pretrained(tmp_path / "sparse")
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path / "sparse")
    shrink(tmp_path / "sparse", tmp_path / "small", settings=ShrinkSettings(intermediate_size=width // 2))
    for full, cut in zip(hidden(tmp_path / "sparse", TEXTS), hidden(tmp_path / "small", TEXTS), strict=True):
        assert torch.allclose(full, cut, atol=1e-5)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (ShrinkSettings(layers=(0, 9)), "numbered from 0"),
        (ShrinkSettings(intermediate_size=10**6), "only BERT"),
    ],
)
def test_what_is_not_there_cannot_be_kept(tiny_encoder, tmp_path, wanted, said) -> None:
    with pytest.raises(UsageError, match=said):
        shrink(tiny_encoder, tmp_path / "small", settings=wanted)
    assert not (tmp_path / "small").exists()
