"""Adapters open in every kind of model: ours with plain `peft`, and foreign ones with ours."""

import itertools
import json
import re
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from peft import LoHaConfig, LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    DistilBertConfig,
    RobertaConfig,
)

from trialtune.errors import DataError, UsageError
from trialtune.models.adapters import merge_adapter, open_adapter
from trialtune.models.encoders import Encoder
from trialtune.models.lora import add_lora, save_adapter
from trialtune.models.mlm import load_masked_lm
from trialtune.models.settings import LoraSettings

IDS = torch.arange(5, 29).reshape(2, 12)
KINDS = [AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification]


every_kind = pytest.mark.parametrize("auto_class", KINDS, ids=lambda kind: kind.__name__)
TENSORS = "adapter_model.safetensors"


def train(peft_model, seed: int = 1) -> PeftModel:
    """Stand in for training: random values in every adapter weight."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if "lora_magnitude" in name:
                parameter.mul_(1 + 0.3 * torch.rand_like(parameter))
            elif "lora_" in name:
                parameter.normal_(std=0.15)
    return peft_model.eval()


@pytest.fixture(scope="module")
def trained(tiny_encoder, tmp_path_factory):
    """A LoRA model with weights that matter, and the folder it was saved to."""
    model = AutoModelForMaskedLM.from_pretrained(tiny_encoder)
    peft_model = train(add_lora(model, LoraSettings(r=4, lora_alpha=8)))
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(peft_model, folder, encoder=Encoder.open(tiny_encoder))
    return peft_model, folder


def made_elsewhere(auto_class, encoder, folder: Path, **options) -> PeftModel:
    """A trained adapter on the queries and values, made and saved with nothing but PEFT."""
    config = LoraConfig(**{"r": 1, "lora_alpha": 1, "target_modules": ["query", "value"], **options})
    peft_model = train(get_peft_model(auto_class.from_pretrained(encoder), config))
    peft_model.save_pretrained(folder)
    return peft_model


@pytest.fixture(scope="module")
def foreign(tiny_encoder, tmp_path_factory):
    """The shape of published adapters: LoRA of rank 1 under the token classification task type."""
    folder = tmp_path_factory.mktemp("foreign")
    return made_elsewhere(
        AutoModelForTokenClassification, tiny_encoder, folder, task_type=TaskType.TOKEN_CLS
    ), folder


def rewrite_tensors(source: Path, folder: Path, change) -> Path:
    """A copy of an adapter folder with `change` applied to its tensors."""
    shutil.copytree(source, folder)
    save_file(change(load_file(folder / TENSORS)), folder / TENSORS, metadata={"format": "pt"})
    return folder


def assert_opens_like(model, auto_class, encoder, folder: Path) -> None:
    """Opened and merged, the adapter gives the hidden states of the model it was made in."""
    start = auto_class.from_pretrained(encoder)
    before = hidden(start)
    opened = open_adapter(start, folder)
    assert not any(module.training for module in opened.modules())
    torch.testing.assert_close(hidden(opened), hidden(model))
    assert not torch.allclose(hidden(opened), before, atol=1e-2)
    merged = merge_adapter(auto_class.from_pretrained(encoder), folder)
    torch.testing.assert_close(hidden(merged), hidden(model), rtol=1e-4, atol=5e-5)


def hidden(model) -> torch.Tensor:
    encoder = model.get_base_model() if isinstance(model, PeftModel) else model
    with torch.no_grad():
        return encoder.base_model.eval()(input_ids=IDS)[0]


@every_kind
def test_plain_peft_opens_it(auto_class, trained, tiny_encoder) -> None:
    model, folder = trained
    start = auto_class.from_pretrained(tiny_encoder)
    before = hidden(start)
    opened = PeftModel.from_pretrained(start, folder)
    torch.testing.assert_close(hidden(opened), hidden(model))
    assert not torch.allclose(hidden(opened), before, atol=1e-3)
    torch.testing.assert_close(hidden(opened.merge_and_unload()), hidden(model), rtol=1e-4, atol=1e-5)


@every_kind
def test_transformers_load_adapter_opens_it(auto_class, trained, tiny_encoder) -> None:
    model, folder = trained
    start = auto_class.from_pretrained(tiny_encoder)
    start.load_adapter(str(folder))
    torch.testing.assert_close(hidden(start), hidden(model))


@every_kind
def test_merged_weights_train_further(auto_class, trained, tiny_encoder) -> None:
    model, folder = trained
    merged = merge_adapter(auto_class.from_pretrained(tiny_encoder), folder)
    torch.testing.assert_close(hidden(merged), hidden(model), rtol=1e-4, atol=1e-5)
    assert all(parameter.requires_grad for parameter in merged.parameters())


def test_only_the_adapter_trains_and_the_head_stays(trained) -> None:
    model, _ = trained
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    assert not any("pooler" in name or "cls." in name for name in names)
    assert len(names) == 2 * 6 * 2  # A and B of six layers in each of two blocks


def test_a_target_that_matches_nothing_lists_what_exists(tiny_encoder) -> None:
    model = AutoModelForMaskedLM.from_pretrained(tiny_encoder)
    with pytest.raises(UsageError, match=r"'q_proj' matches no layer.*'query'"):
        add_lora(model, LoraSettings(target_modules=("q_proj", "value")))


def test_a_target_name_reaches_the_blocks_only(tiny_encoder) -> None:
    model = add_lora(
        AutoModelForMaskedLM.from_pretrained(tiny_encoder),
        LoraSettings(target_modules=("dense", "layer.1.attention.self.query")),
    )
    adapted = {name for name, module in model.get_base_model().named_modules() if hasattr(module, "lora_A")}
    assert len(adapted) == 2 * 3 + 1  # the head's transform is a 'dense', too
    assert all(".layer." in name for name in adapted)


@every_kind
def test_ours_open_in_silence(auto_class, trained, tiny_encoder, caplog) -> None:
    model, folder = trained
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert_opens_like(model, auto_class, tiny_encoder, folder)
    assert not [record for record in caplog.records if record.name.startswith("trialtune")]


@every_kind
@pytest.mark.parametrize("variant", [{"use_rslora": True}, {"use_dora": True}], ids=["rslora", "dora"])
def test_variants_round_trip(auto_class, variant, tiny_encoder, tmp_path) -> None:
    model = AutoModelForMaskedLM.from_pretrained(tiny_encoder)
    model = train(add_lora(model, LoraSettings(r=4, lora_alpha=8, lora_dropout=0.5, **variant)))
    save_adapter(model, tmp_path, encoder=Encoder.open(tiny_encoder))
    plain = PeftModel.from_pretrained(auto_class.from_pretrained(tiny_encoder), tmp_path)
    torch.testing.assert_close(hidden(plain), hidden(model))
    assert_opens_like(model, auto_class, tiny_encoder, tmp_path)


@every_kind
def test_a_token_classification_adapter_opens(auto_class, foreign, tiny_encoder, caplog) -> None:
    model, folder = foreign
    assert any("classifier" in name for name in load_file(folder / TENSORS))
    assert_opens_like(model, auto_class, tiny_encoder, folder)
    assert "task type TOKEN_CLS is dropped" in caplog.text
    assert "2 tensors of its head are left out (base_model.model.classifier.bias" in caplog.text
    assert ("8 tensors are renamed for a bare encoder" in caplog.text) == (auto_class is AutoModel)


@every_kind
def test_an_adapter_of_a_bare_encoder_opens(auto_class, tiny_encoder, tmp_path, caplog) -> None:
    model = made_elsewhere(AutoModel, tiny_encoder, tmp_path)
    assert_opens_like(model, auto_class, tiny_encoder, tmp_path)
    assert ("renamed for a model with a head" in caplog.text) == (auto_class is not AutoModel)


@every_kind
def test_an_adapter_under_another_prefix_opens(auto_class, foreign, tiny_encoder, tmp_path) -> None:
    model, source = foreign
    folder = rewrite_tensors(
        source,
        tmp_path / "wrapped",
        lambda tensors: {
            name.replace("model.bert.", "model.model."): value.clone() for name, value in tensors.items()
        },
    )
    assert_opens_like(model, auto_class, tiny_encoder, folder)


@every_kind
@pytest.mark.parametrize(
    "made",
    itertools.product(
        KINDS, ["all-linear", ["query", "key", "value", "dense", "Wqkv", "Wo", "q_lin", "vocab_transform"]]
    ),
    ids=lambda made: f"{made[0].__name__}-{'names' if isinstance(made[1], list) else made[1]}",
)
def test_an_adapter_that_reaches_the_head_opens(auto_class, made, config, tmp_path, caplog) -> None:
    """The usual settings of PEFT put LoRA layers on the transform of a masked-LM head, or on the pooler."""
    made_in, targets = made
    torch.manual_seed(0)
    made_in.from_config(config).save_pretrained(tmp_path / "encoder")
    if auto_class is not made_in:  # a head of its own, as in the same family's other models
        torch.manual_seed(1)
        base = auto_class.from_pretrained(tmp_path / "encoder")
    else:
        base = made_in.from_pretrained(tmp_path / "encoder")
    task = TaskType.SEQ_CLS if made_in is AutoModelForSequenceClassification else None
    if task and targets != "all-linear" and config.model_type in ("roberta", "xlm-roberta", "electra"):
        pytest.skip("PEFT 0.21.2 cannot make it: classifier.dense is both a target and saved whole")
    options = {"r": 2, "target_modules": targets, "task_type": task}
    if task and config.model_type == "distilbert":
        options["exclude_modules"] = ["pre_classifier"]  # PEFT 0.21.2 cannot have it both ways either
    model = made_elsewhere(made_in, tmp_path / "encoder", tmp_path / "adapter", **options)
    inside = re.compile(r"layer|pooler|embeddings_project")
    outside = [name for name in load_file(tmp_path / "adapter" / TENSORS) if not inside.search(name)]
    merged = merge_adapter(base, tmp_path / "adapter").eval()
    with torch.no_grad():
        ours = merged.base_model(input_ids=IDS)[0]
        theirs = model.get_base_model().base_model(input_ids=IDS)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    if auto_class is made_in is AutoModelForMaskedLM:
        with torch.no_grad():
            torch.testing.assert_close(
                merged(input_ids=IDS).logits, model(input_ids=IDS).logits, rtol=1e-4, atol=1e-4
            )
        assert "left out" not in caplog.text
    elif any(".lora_" in name for name in outside):
        assert "its layers outside this model are left out" in caplog.text


@every_kind
@pytest.mark.parametrize("variant", [{"use_rslora": True}, {"use_dora": True}], ids=["rslora", "dora"])
def test_patterns_of_ranks_and_alphas_move_along(auto_class, variant, tiny_encoder, tmp_path) -> None:
    model = made_elsewhere(
        AutoModelForTokenClassification,
        tiny_encoder,
        tmp_path,
        rank_pattern={"layer.0.attention.self.query": 3, "^bert.encoder.layer.1.attention.self.query": 2},
        alpha_pattern={r"^bert\.encoder\.layer\.\d+\.attention\.self\.value": 5},
        **variant,
    )
    assert_opens_like(model, auto_class, tiny_encoder, tmp_path)


def test_layers_picked_by_number_open(tiny_encoder, tmp_path) -> None:
    model = made_elsewhere(AutoModel, tiny_encoder, tmp_path, layers_to_transform=[1])
    assert_opens_like(model, AutoModelForMaskedLM, tiny_encoder, tmp_path)


def test_an_opened_adapter_is_frozen_and_active(foreign, tiny_encoder) -> None:
    opened = open_adapter(AutoModelForMaskedLM.from_pretrained(tiny_encoder), foreign[1])
    assert isinstance(opened, PeftModel)
    assert opened.active_adapters == ["default"]
    assert opened.peft_config["default"].task_type is None
    assert not any(parameter.requires_grad for parameter in opened.parameters())


def test_the_decoder_stays_tied_and_out_of_the_file(trained, foreign, tiny_encoder, tmp_path) -> None:
    assert all(".lora_" in name for name in load_file(trained[1] / TENSORS))
    for _, folder in (trained, foreign):
        merged = merge_adapter(AutoModelForMaskedLM.from_pretrained(tiny_encoder), folder)
        assert merged.get_output_embeddings().weight is merged.get_input_embeddings().weight
        merged.save_pretrained(tmp_path)
        stored = load_file(tmp_path / "model.safetensors")
        embeddings = merged.get_input_embeddings().weight.shape
        assert sum(value.shape == embeddings for value in stored.values()) == 1
        reloaded = AutoModelForMaskedLM.from_pretrained(tmp_path)
        torch.testing.assert_close(hidden(reloaded), hidden(merged))


@pytest.mark.parametrize(
    "targets", [["word_embeddings"], ["decoder"], ["word_embeddings", "decoder", "query"]], ids="-".join
)
def test_an_adapter_of_tied_embeddings_is_merged_as_it_was_trained(targets, tiny_encoder, tmp_path) -> None:
    model = made_elsewhere(AutoModelForMaskedLM, tiny_encoder, tmp_path / "a", r=2, target_modules=targets)
    with torch.no_grad():
        expected = model(input_ids=IDS).logits
    start = AutoModelForMaskedLM.from_pretrained(tiny_encoder)
    if targets == ["decoder"]:  # nothing of it is in the encoder
        with pytest.raises(DataError, match=r"decoder\.lora_A\.weight matches no layer"):
            merge_adapter(start, tmp_path / "a")
        return
    merged = merge_adapter(start, tmp_path / "a").eval()
    merged.save_pretrained(tmp_path / "m")
    shutil.copyfile(Path(tiny_encoder) / "tokenizer.json", tmp_path / "m" / "tokenizer.json")
    for opened in (merged, AutoModelForMaskedLM.from_pretrained(tmp_path / "m")):
        with torch.no_grad():
            torch.testing.assert_close(opened(input_ids=IDS).logits, expected, rtol=1e-4, atol=1e-4)
    again, has_head = load_masked_lm(Encoder.open(tmp_path / "m"))
    assert has_head
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=IDS).logits, expected, rtol=1e-4, atol=1e-4)


def test_a_folder_that_is_no_adapter(tiny_encoder, tmp_path) -> None:
    with pytest.raises(DataError, match="not an adapter folder"):
        merge_adapter(AutoModel.from_pretrained(tiny_encoder), tmp_path)


def test_a_pickle_is_not_opened(foreign, tiny_encoder, tmp_path) -> None:
    folder = shutil.copytree(foreign[1], tmp_path / "pickled")
    torch.save(load_file(folder / TENSORS), folder / "adapter_model.bin")
    (folder / TENSORS).unlink()
    with pytest.raises(DataError, match=r"adapter_model\.bin.*convert it to adapter_model\.safetensors"):
        merge_adapter(AutoModel.from_pretrained(tiny_encoder), folder)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"hidden_size": 64}, r"does not fit the encoder \(size mismatch for .*lora_"),
        ({"num_hidden_layers": 1}, r"layer\.1\.\S+ matches no layer in this 'bert' encoder"),
        ({"num_hidden_layers": 3}, r"has no tensors for encoder\.layer\.2\.attention\.self\.query"),
    ],
    ids=["wider", "shallower", "deeper"],
)
@pytest.mark.parametrize("whose", ["trained", "foreign"])
def test_an_encoder_of_another_size(size, message, whose, tiny_encoder, request) -> None:
    _, folder = request.getfixturevalue(whose)
    model = AutoModel.from_config(AutoConfig.from_pretrained(tiny_encoder, **size))
    with pytest.raises(DataError, match=message):
        merge_adapter(model, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tensors: {name: torch.zeros_like(value) for name, value in tensors.items()},
            "has no effect",
        ),
        (
            lambda tensors: tensors | {"base_model.model.bert.embeddings.LayerNorm.bias": torch.ones(32)},
            "LayerNorm.bias belongs to the encoder and is not a LoRA tensor",
        ),
        (
            lambda tensors: tensors | {"base_model.model.bert.adapter.lora_A.weight": torch.ones(1, 32)},
            "bert.adapter.lora_A.weight matches no layer",
        ),
        (
            lambda tensors: {name: value for name, value in tensors.items() if "1.attention" not in name},
            "has no tensors for bert.encoder.layer.1",
        ),
        (
            lambda tensors: {name: value for name, value in tensors.items() if "query.lora_A" not in name},
            "query.lora_A.default.weight is in only one of",
        ),
        (
            lambda tensors: tensors | {name.replace("bert.", ""): -value for name, value in tensors.items()},
            "occurs twice, with different values",
        ),
    ],
    ids=["zero", "encoder-part", "head-lora", "block-missing", "half-missing", "contradiction"],
)
def test_tensors_that_cannot_be_used(change, message, foreign, tiny_encoder, tmp_path) -> None:
    folder = rewrite_tensors(foreign[1], tmp_path / "changed", change)
    with pytest.raises(DataError, match=message):
        open_adapter(AutoModelForMaskedLM.from_pretrained(tiny_encoder), folder)


def test_damaged_files(foreign, tiny_encoder, tmp_path) -> None:
    for name, content in (("adapter_config.json", "{"), ("adapter_config.json", "{}"), (TENSORS, "torn")):
        folder = shutil.copytree(foreign[1], tmp_path / str(len(list(tmp_path.iterdir()))))
        (folder / name).write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=r"damaged|peft_type is None"):
            open_adapter(AutoModel.from_pretrained(tiny_encoder), folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alora_invocation_tokens": [5, 6], "task_type": TaskType.CAUSAL_LM}, "activated LoRA"),
        ({"target_parameters": ["attention.self.query.weight"]}, "target_parameters"),
        ({"trainable_token_indices": [5, 6]}, "trainable_token_indices"),
    ],
    ids=["alora", "parameters", "tokens"],
)
def test_kinds_of_lora_that_are_none_of_layers(options, message, foreign, tiny_encoder, tmp_path) -> None:
    folder = shutil.copytree(foreign[1], tmp_path / "a")
    config = LoraConfig(r=1, target_modules=["query", "value"], **options)
    config.save_pretrained(folder)
    with pytest.raises(DataError, match=rf"adapter_config\.json: .*{message}.*only LoRA, rsLoRA and DoRA"):
        merge_adapter(AutoModelForMaskedLM.from_pretrained(tiny_encoder), folder)


def test_another_kind_of_adapter(tiny_encoder, tmp_path) -> None:
    config = LoHaConfig(r=1, target_modules=["query"])
    get_peft_model(AutoModel.from_pretrained(tiny_encoder), config).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["peft_type"] == "LOHA"
    with pytest.raises(DataError, match="peft_type is LOHA; only LORA"):
        open_adapter(AutoModel.from_pretrained(tiny_encoder), tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        RobertaConfig(
            vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48
        ),
        DistilBertConfig(vocab_size=99, dim=32, n_layers=2, n_heads=2, hidden_dim=48),
    ],
    ids=lambda config: config.model_type,
)
def test_all_linear_means_the_blocks_in_other_families_too(config) -> None:
    model = add_lora(AutoModelForMaskedLM.from_config(config), LoraSettings(r=2))
    adapted = {name for name, module in model.named_modules() if hasattr(module, "lora_A")}
    assert len(adapted) == 2 * 6
    assert all(".layer." in name for name in adapted)
