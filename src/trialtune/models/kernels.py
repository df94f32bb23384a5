"""Speeds up training and scoring without changing the results."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from torch import nn
from transformers import PreTrainedModel

# torch 2.13's fused attention on a CPU spends up to 10 times as long in its backward pass as plain
# matrix products do, and wins only beyond this length (`benchmarks/attention.py`).
_PLAIN_ATTENTION_TOKENS = 512
# Without a backward pass: plain is faster at 14 tokens, fused at 256.
_PLAIN_SCORING_TOKENS = 128


def prepare_training(
    model: PreTrainedModel, *, tokens: int, gradient_checkpointing: bool = False, compiled: bool = False
) -> None:
    """Choose the fastest kernels for training on sequences of up to `tokens`, on the model's device.

    `gradient_checkpointing` recomputes activations instead of storing them; `compiled` fuses
    the encoder's operations by `torch.compile`. Both keep the results, up to rounding.
    """
    _choose_attention(model, plain=tokens <= _PLAIN_ATTENTION_TOKENS)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if compiled:
        model.base_model.compile()


def prepare_scoring(model: PreTrainedModel, *, tokens: int) -> None:
    """Choose the fastest kernels for scoring sequences of up to `tokens`; same results, up to rounding."""
    _choose_attention(model, plain=tokens <= _PLAIN_SCORING_TOKENS)


def _choose_attention(model: PreTrainedModel, *, plain: bool) -> None:
    """Attention by plain matrix products if `plain` and on a CPU, fused attention elsewhere."""
    on_cpu = not torch.accelerator.is_available()
    with suppress(ValueError):  # some architectures have only one implementation
        model.set_attn_implementation("eager" if plain and on_cpu else "sdpa")


def hold_frozen_weights(model: nn.Module, dtype: torch.dtype) -> None:
    """Store frozen linear weights in the autocast type, to which they would be cast in every step.

    Equal to autocast bit for bit. A frozen matrix tied to an embedding is copied, as
    embeddings are looked up in full precision; DoRA layers are left, as it takes their norms.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    normed = {id(m.base_layer) for m in model.modules() if len(getattr(m, "lora_magnitude_vector", ()))}
    for module in model.modules():
        if not isinstance(module, nn.Linear) or module.weight.requires_grad or id(module) in normed:
            continue
        if id(module.weight) in embeddings:
            module.weight = nn.Parameter(module.weight.detach().to(dtype), requires_grad=False)
        else:
            module.weight.data = module.weight.data.to(dtype)


@contextmanager
def masters_kept(model: nn.Module) -> Iterator[None]:
    """Restore frozen linear weights to their original values, whatever type training stored them in.

    An adapter is merged into them: in bf16, most of its update would be rounded away.
    """
    masters = {
        module: module.weight
        for module in model.modules()
        if isinstance(module, nn.Linear) and not module.weight.requires_grad
    }
    values = {module: weight.data for module, weight in masters.items()}
    yield
    for module, weight in masters.items():
        weight.data = values[module].to(module.weight.device)
        module.weight = weight  # a tied one was replaced by a copy


def set_dropout(model: nn.Module, probability: float) -> None:
    """Change every dropout of a model, including attention's; its configuration is unchanged."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
        for name in ("attention_dropout", "dropout_prob"):  # architectures that store the number itself
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, probability)
