"""The adapter opens with plain `peft` in every kind of model, and carries the trained weights."""

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    DistilBertConfig,
    RobertaConfig,
)

from trialtune.errors import DataError, UsageError
from trialtune.models.lora import LoraSettings, add_lora, merge_adapter, save_adapter

IDS = torch.arange(5, 29).reshape(2, 12)
KINDS = [AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification]


@pytest.fixture(scope="module")
def trained(tiny_encoder, tmp_path_factory):
    """A LoRA model with weights that matter, and the folder it was saved to."""
    model = AutoModelForMaskedLM.from_pretrained(tiny_encoder)
    peft_model = add_lora(model, LoraSettings(r=4, alpha=8))
    torch.manual_seed(1)
    for name, parameter in peft_model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(peft_model, folder, encoder=tiny_encoder)
    return peft_model.eval(), folder


def hidden(model) -> torch.Tensor:
    encoder = model.get_base_model() if isinstance(model, PeftModel) else model
    with torch.no_grad():
        return encoder.base_model.eval()(input_ids=IDS)[0]


@pytest.mark.parametrize("auto_class", KINDS, ids=lambda kind: kind.__name__)
def test_plain_peft_opens_it(auto_class, trained, tiny_encoder) -> None:
    model, folder = trained
    start = auto_class.from_pretrained(tiny_encoder)
    before = hidden(start)
    opened = PeftModel.from_pretrained(start, folder)
    torch.testing.assert_close(hidden(opened), hidden(model))
    assert not torch.allclose(hidden(opened), before, atol=1e-3)
    torch.testing.assert_close(hidden(opened.merge_and_unload()), hidden(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("auto_class", KINDS, ids=lambda kind: kind.__name__)
def test_transformers_load_adapter_opens_it(auto_class, trained, tiny_encoder) -> None:
    model, folder = trained
    start = auto_class.from_pretrained(tiny_encoder)
    start.load_adapter(str(folder))
    torch.testing.assert_close(hidden(start), hidden(model))


@pytest.mark.parametrize("auto_class", KINDS, ids=lambda kind: kind.__name__)
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


def test_a_folder_that_is_no_adapter(tiny_encoder, tmp_path) -> None:
    with pytest.raises(DataError, match="not an adapter folder"):
        merge_adapter(AutoModel.from_pretrained(tiny_encoder), tmp_path)


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
