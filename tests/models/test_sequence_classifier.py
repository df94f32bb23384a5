"""The head of a classifier is found in every family, and every layer learns at the rate of its place."""

import math

import pytest
import torch
from transformers import AutoModelForSequenceClassification, FunnelConfig

from trialtune.errors import UsageError
from trialtune.models.lora import add_lora
from trialtune.models.sequence_classifier import learning_rates, shift_bias, start_bias
from trialtune.models.settings import LoraSettings

IDS = torch.arange(5, 29).reshape(2, 12)


def build(config, labels: int = 3):
    torch.manual_seed(0)
    config.num_labels, config.problem_type = labels, "single_label_classification"
    return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.mark.parametrize("labels", [3, 32], ids=["few", "as-many-as-the-width"])
def test_a_shift_of_the_bias_shifts_the_logits(family, small_config, labels) -> None:
    model, shift = build(small_config(family), labels), torch.linspace(-2, 2, labels)
    with torch.no_grad():
        before = model(input_ids=IDS).logits
        shift_bias(model, shift)
        torch.testing.assert_close(model(input_ids=IDS).logits, before + shift, rtol=1e-4, atol=1e-5)


def test_a_head_starts_at_the_base_rates(family, small_config) -> None:
    model = build(small_config(family))
    for name, value in model.named_parameters():
        if not name.startswith(f"{model.base_model_prefix}."):
            torch.nn.init.zeros_(value)
    start_bias(model, torch.tensor([[1.0, 0, 0]] * 6 + [[0, 1.0, 0]] * 3 + [[0, 0, 1.0]]))
    with torch.no_grad():
        found = model(input_ids=IDS).logits.softmax(dim=-1)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.3, 0.1]] * 2))


def test_rates_fall_from_block_to_block(family, small_config) -> None:
    model = build(small_config(family))
    rates = learning_rates(model, layerwise_lr_decay=0.5, head_lr_multiplier=10)
    words = next(n for n, v in model.named_parameters() if v is model.get_input_embeddings().weight)
    assert rates[words] == 0.25 and max(rates.values()) == 10
    inside = {rate for name, rate in rates.items() if name.startswith(f"{model.base_model_prefix}.")}
    assert inside - {10} == ({0.25, 1} if family == "albert" else {0.25, 0.5, 1})


def test_groups_of_layers_that_share_weights_learn_as_their_highest(small_config) -> None:
    config = small_config("albert", num_hidden_layers=6, num_hidden_groups=3)
    rates = learning_rates(build(config), layerwise_lr_decay=0.5, head_lr_multiplier=1)
    for group in range(3):
        name = f"albert.encoder.albert_layer_groups.{group}.albert_layers.0.ffn.weight"
        assert math.isclose(rates[name], 0.5 ** (4 - 2 * group))


def test_all_linear_reaches_every_block(family, small_config) -> None:
    model = add_lora(build(small_config(family)), LoraSettings(r=2)).get_base_model()
    adapted = [name for name, module in model.named_modules() if hasattr(module, "lora_A")]
    assert len(adapted) >= 4 and all("layer" in name and "pooler" not in name for name in adapted)


def test_a_family_whose_layers_go_by_other_names_is_refused_in_words() -> None:
    config = FunnelConfig(
        vocab_size=99, block_sizes=[1, 1], d_model=32, n_head=2, d_head=16, d_inner=48, num_decoder_layers=1
    )
    model = build(config)
    with pytest.raises(UsageError, match="layerwise_lr_decay: the layers of a 'funnel' encoder"):
        learning_rates(model, layerwise_lr_decay=0.5, head_lr_multiplier=1)
    assert set(learning_rates(model, layerwise_lr_decay=1, head_lr_multiplier=1).values()) == {1}
    with pytest.raises(UsageError, match=r"'all-linear': the layers of a 'funnel' .*'q_head'"):
        add_lora(model, LoraSettings())
