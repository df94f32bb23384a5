"""What makes training fast leaves its results as they are."""

import pytest
import torch
from torch import nn

from trialtune.models.kernels import hold_frozen_weights, prepare_training, set_dropout
from trialtune.models.lora import add_lora
from trialtune.models.mlm import MaskedLM, head_parameters, unfreeze_head
from trialtune.models.settings import LoraSettings


def loss_and_gradients(model: nn.Module, batch, precision: torch.dtype | None = None):
    """The loss of a training step, and the gradient of every trained parameter."""
    wrapped = MaskedLM(model).train()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision is not None):
        loss = wrapped(*batch)
    loss.backward()
    return loss, {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


def with_lora(model: nn.Module, **variant: bool) -> nn.Module:
    torch.manual_seed(1)
    add_lora(model, LoraSettings(r=4, **variant))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.2)
    unfreeze_head(model)
    set_dropout(model, 0.0)
    return model


def assert_same(first, second, **tolerance) -> None:
    torch.testing.assert_close(first[0], second[0], **tolerance)
    assert first[1].keys() == second[1].keys()
    for name, gradient in first[1].items():
        torch.testing.assert_close(gradient, second[1][name], msg=name, **tolerance)


def test_frozen_weights_in_bf16_equal_autocast_bit_for_bit(config, build, batch) -> None:
    plain = loss_and_gradients(with_lora(build(config)), batch, torch.bfloat16)
    model = with_lora(build(config))
    hold_frozen_weights(model, torch.bfloat16)
    linear = [m.weight for m in model.modules() if isinstance(m, nn.Linear) and not m.weight.requires_grad]
    assert linear
    assert all(weight.dtype == torch.bfloat16 for weight in linear)
    assert model.get_input_embeddings().weight.dtype == torch.float32
    assert_same(loss_and_gradients(model, batch, torch.bfloat16), plain, rtol=0, atol=0)


@pytest.mark.parametrize("variant", [{"use_rslora": True}, {"use_dora": True}], ids=["rslora", "dora"])
def test_frozen_weights_of_lora_variants(variant, build, batch) -> None:
    plain = loss_and_gradients(with_lora(build(), **variant), batch, torch.bfloat16)
    model = with_lora(build(), **variant)
    hold_frozen_weights(model, torch.bfloat16)
    assert_same(loss_and_gradients(model, batch, torch.bfloat16), plain, rtol=0, atol=0)


def test_the_head_is_the_same_after_frozen_weights_changed_type(config, build) -> None:
    model = with_lora(build(config))
    before = head_parameters(model).keys()
    hold_frozen_weights(model, torch.bfloat16)
    assert head_parameters(model).keys() == before


def test_trained_weights_keep_their_type(build) -> None:
    model = build()
    hold_frozen_weights(model, torch.bfloat16)
    assert all(value.dtype == torch.float32 for value in model.parameters())


def test_attention_gives_the_same(config, build, batch) -> None:
    fused = loss_and_gradients(with_lora(build(config, "sdpa")), batch)
    model = with_lora(build(config, "sdpa"))
    prepare_training(model, tokens=24)
    if not torch.accelerator.is_available():
        assert model.config._attn_implementation == "eager"
    assert_same(loss_and_gradients(model, batch), fused, rtol=1e-3, atol=1e-5)


def test_gradient_checkpointing_gives_the_same(config, build, batch) -> None:
    plain = loss_and_gradients(with_lora(build(config)), batch)
    model = with_lora(build(config))
    prepare_training(model, tokens=24, gradient_checkpointing=True)
    assert_same(loss_and_gradients(model, batch), plain)


def test_dropout_off_makes_training_steps_repeat(config, build, batch) -> None:
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"):
        if hasattr(config, name):
            setattr(config, name, 0.5)
    model = build(config).train()
    noisy = MaskedLM(model).train()
    assert noisy(*batch) != noisy(*batch)
    set_dropout(model, 0.0)
    assert noisy(*batch) == noisy(*batch)
