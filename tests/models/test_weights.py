"""Encoders are opened whole or refused: nothing random takes the place of a weight, everything is in fp32."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from trialtune.errors import DataError
from trialtune.models.encoders import Encoder
from trialtune.models.mlm import load_masked_lm
from trialtune.models.sequence_classifier import build_classifier, load_classifier

IDS = torch.arange(5, 29).reshape(2, 12)
QUERY = "attention.self.query"
WEIGHTS, PICKLED = "model.safetensors", "pytorch_model.bin"
WRAPPERS = ["_orig_mod.", "module.", "module._orig_mod.", "base_model.model.", "0.auto_model.", "0.model."]


def rewrite(encoder: str, folder: Path, change) -> Path:
    """A copy of an encoder's folder with `change` applied to its tensors."""
    shutil.copytree(encoder, folder)
    tensors = {
        name: value.contiguous().clone() for name, value in change(load_file(folder / WEIGHTS)).items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_tensors_under_the_name_of_a_wrapper(wrapper, tiny_encoder, tmp_path) -> None:
    folder = rewrite(tiny_encoder, tmp_path / "e", lambda held: {wrapper + n: v for n, v in held.items()})
    model, has_head = load_masked_lm(Encoder.open(folder))
    assert has_head
    assert torch.equal(logits(model), logits(AutoModelForMaskedLM.from_pretrained(tiny_encoder)))
    model.save_pretrained(tmp_path / "again")  # under plain names
    assert load_file(tmp_path / "again" / WEIGHTS).keys() == load_file(Path(tiny_encoder) / WEIGHTS).keys()


def test_blocks_that_were_compiled_one_by_one(tiny_encoder, tmp_path) -> None:
    folder = rewrite(
        tiny_encoder,
        tmp_path / "e",
        lambda held: {name.replace("layer.1.", "layer.1._orig_mod."): value for name, value in held.items()},
    )
    model, _ = load_masked_lm(Encoder.open(folder))
    assert torch.equal(logits(model), logits(AutoModelForMaskedLM.from_pretrained(tiny_encoder)))


KINDS = [AutoModel, AutoModelForMaskedLM]


@pytest.mark.parametrize("auto_class", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda held: {name: value for name, value in held.items() if "layer.1." not in name},
            r"its files lack \S*encoder\.layer\.1\..* and 13 more tensors, which would be init",
        ),
        (
            lambda held: {f"model.{name}": value for name, value in held.items()},
            r"its files lack \S*embeddings\.LayerNorm\.bias, .* and 34 more tensors",
        ),
        (
            lambda held: held | {"bert.encoder.layer.2.output.dense.bias": torch.ones(32)},
            r"its files hold bert\.encoder\.layer\.2\.output\.dense\.bias, for which the 'bert' model",
        ),
        (
            lambda held: held | {"bert.embeddings.word_embeddings.weight": torch.ones(9, 32)},
            r"word_embeddings\.weight is \[9, 32\] in its files, but \[\d+, 32\] by its config\.json",
        ),
        (
            lambda held: (
                {
                    f"base_model.model.{name}".replace("query.weight", "query.base_layer.weight"): value
                    for name, value in held.items()
                }
                | {f"base_model.model.bert.encoder.layer.0.{QUERY}.lora_A.default.weight": torch.ones(1, 32)}
            ),
            r"hold an adapter besides the weights .*merge it first",
        ),
    ],
    ids=["layer-missing", "unknown-prefix", "layer-too-many", "shape", "unmerged-adapter"],
)
def test_what_is_not_whole_is_refused_by_name(change, message, auto_class, tiny_encoder, tmp_path) -> None:
    folder = rewrite(tiny_encoder, tmp_path / "e", change)
    with pytest.raises(DataError, match=message):
        Encoder.open(folder).load(auto_class)
    with pytest.raises(DataError, match=message):
        build_classifier(Encoder.open(folder), ["a", "b"], kind="multi_class")


def test_a_new_head_is_told_and_a_new_pooler_is_none(tiny_encoder, tmp_path, caplog) -> None:
    folder = rewrite(
        tiny_encoder, tmp_path / "e", lambda held: {n: v for n, v in held.items() if "cls." not in n}
    )
    _, has_head = load_masked_lm(Encoder.open(folder))
    assert not has_head and "has no masked-LM head: cls.predictions.bias" in caplog.text
    caplog.clear()
    assert Encoder.open(tiny_encoder).load(AutoModel).pooler is not None
    assert not [record for record in caplog.records if record.name.startswith("trialtune")]


# --- form and type of the files ---


def stored(encoder: str, folder: Path, dtype: torch.dtype, form: str) -> Path:
    """The encoder saved again in another type, by plain libraries."""
    model = AutoModelForMaskedLM.from_pretrained(encoder).to(dtype)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    model.save_pretrained(folder, max_shard_size="20KB" if form == "sharded" else "5GB")
    if form == "bin":
        torch.save(model.state_dict(), folder / PICKLED)
        (folder / WEIGHTS).unlink()
    return folder


@pytest.mark.parametrize("form", ["whole", "sharded", "bin"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_type_of_file_is_computed_with_in_fp32(dtype, form, tiny_encoder, tmp_path) -> None:
    folder = stored(tiny_encoder, tmp_path / "e", dtype, form)
    assert (folder / f"{WEIGHTS}.index.json").is_file() == (form == "sharded")
    model, has_head = load_masked_lm(Encoder.open(folder))
    assert has_head and {value.dtype for value in model.parameters()} == {torch.float32}
    plain = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    assert torch.equal(logits(model), logits(plain))
    classifier = build_classifier(Encoder.open(folder), ["a", "b"], kind="multi_class")
    assert {value.dtype for value in classifier.parameters()} == {torch.float32}
    classifier.save_pretrained(tmp_path / "c")
    assert {value.dtype for value in load_file(tmp_path / "c" / WEIGHTS).values()} == {torch.float32}


def test_broken_files(tiny_encoder, tmp_path) -> None:
    sharded = stored(tiny_encoder, tmp_path / "s", torch.float32, "sharded")
    last = sorted(sharded.glob("model-*.safetensors"))[-1]
    last.unlink()
    with pytest.raises(DataError, match=rf"1 of \d+ of its weight files are missing \({last.name}\)"):
        Encoder.open(sharded).load(AutoModel)
    pickled = stored(tiny_encoder, tmp_path / "b", torch.float32, "bin") / PICKLED
    whole = pickled.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"torn" * 9):
        pickled.write_bytes(content)
        with pytest.raises(DataError, match=r"pytorch_model\.bin: .*damaged"):
            Encoder.open(pickled.parent).load(AutoModel)
    torch.save(AutoModel.from_pretrained(tiny_encoder), pickled)  # a whole model: code
    with pytest.raises(DataError, match=r"holds more than tensors, which could run code"):
        Encoder.open(pickled.parent).load(AutoModel)


def test_another_weights_file_is_another_encoder(tiny_encoder, tmp_path) -> None:
    folder = stored(tiny_encoder, tmp_path / "e", torch.float32, "bin")
    before = Encoder.open(folder).digest
    torch.save(torch.load(folder / PICKLED) | {"more": torch.ones(1)}, folder / PICKLED)
    assert Encoder.open(folder).digest != before


# --- a published classifier as the encoder ---


@pytest.mark.parametrize("labels", [2, 3], ids=["as-many-labels", "other-labels"])
def test_the_head_is_fresh_and_drawn_from_the_seed(labels, tiny_encoder, tmp_path) -> None:
    published = AutoModelForSequenceClassification.from_pretrained(tiny_encoder, num_labels=2)
    torch.nn.init.normal_(published.classifier.weight, std=9.0)
    published.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path)
    names = [str(number) for number in range(labels)]

    def head(encoder, seed: int) -> torch.Tensor:
        built = build_classifier(Encoder.open(encoder), names, kind="multi_class", seed=seed)
        assert torch.equal(
            built.bert.encoder.layer[1].output.dense.weight,
            published.bert.encoder.layer[1].output.dense.weight,
        )
        return built.classifier.weight.detach()

    first, again, other = (head(tmp_path, seed) for seed in (1, 1, 2))
    assert first.shape == (labels, 32) and first.abs().max() < 1
    assert torch.equal(first, again) and not torch.equal(first, other)
    # The masked LM lacks the pooler that the classifier has; its head is the same nevertheless.
    assert torch.equal(first, head(tiny_encoder, 1))


def test_a_classifier_is_never_completed_at_random(tiny_encoder, tmp_path) -> None:
    model = build_classifier(Encoder.open(tiny_encoder), ["a", "b"], kind="multi_class")
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path)
    held = load_file(tmp_path / WEIGHTS)
    for name in ("classifier.bias", "bert.pooler.dense.weight"):
        save_file({n: v for n, v in held.items() if n != name}, tmp_path / WEIGHTS, metadata={"format": "pt"})
        with pytest.raises(DataError, match=f"its weights lack {name}"):
            load_classifier(tmp_path)
