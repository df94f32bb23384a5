"""Sequence classifiers on an encoder, saved as plain `transformers` folders."""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from trialtune.errors import DataError, UsageError
from trialtune.models.adapters import merge_adapter
from trialtune.models.blocks import BLOCK
from trialtune.models.encoders import Encoder, build_model

_PROBLEM_TYPES = {
    "multi_label": "multi_label_classification",  # makes every loader apply a sigmoid, not a softmax
    "multi_class": "single_label_classification",
}


def build_classifier(
    encoder: Encoder, labels: Sequence[str], *, kind: str, adapter: Path | None = None, seed: int = 0
) -> PreTrainedModel:
    """A classifier with a new head on `encoder`, an adapter merged in first when given.

    The head depends only on `seed`: base and adapted encoders start from the same one.
    """
    config = copy.deepcopy(encoder.config)
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = _PROBLEM_TYPES[kind]
    torch.manual_seed(seed)  # a missing pooler is initialized at random too
    base = encoder.load(AutoModel)
    torch.manual_seed(seed)
    # From the encoder's tensors only: another classifier's head and labels are ignored.
    model, _ = build_model(AutoModelForSequenceClassification, config, base.state_dict(), where=encoder.name)
    return merge_adapter(model, adapter) if adapter else model


def start_bias(model: PreTrainedModel, targets: torch.Tensor) -> None:
    """Set a new head's bias to the log-odds (multi-class: log-frequencies) of `targets` [rows, labels].

    The head then starts at the base rates instead of spending its first steps learning them.
    """
    share = targets.mean(dim=0).clamp(1e-3, 1 - 1e-3)
    multi_label = model.config.problem_type == _PROBLEM_TYPES["multi_label"]
    with torch.no_grad():
        _output_bias(model).copy_(share.logit() if multi_label else share.log())


def learning_rates(
    model: PreTrainedModel, *, layerwise_lr_decay: float, head_lr_multiplier: float
) -> dict[str, float]:
    """The learning rate of each parameter relative to the encoder's last layer.

    Each layer has `layerwise_lr_decay` times the rate of the one above it, embeddings the lowest
    (Howard and Ruder, 2018, arXiv:1801.06146); the head has
    `head_lr_multiplier` times the encoder's. Layers that share weights have the highest of theirs. Raises
    UsageError for a decay in an encoder whose layer names are not known.
    """
    layers = model.config.num_hidden_layers
    rates = {}
    inside = f"{model.base_model_prefix}."
    names = [name for name, _ in model.named_parameters()]
    blocks = {int(match[1]) for name in names if (match := BLOCK.search(name))}
    if not blocks and layerwise_lr_decay != 1:
        raise UsageError(
            f"layerwise_lr_decay: the layers of a {model.config.model_type!r} encoder are unknown; remove it"
            " out"
        )
    for name in names:
        if match := BLOCK.search(name):
            highest = layers * (int(match[1]) + 1) / len(blocks) - 1
            rates[name] = layerwise_lr_decay ** (layers - 1 - highest)
        elif name.startswith(inside) and "pooler" not in name:
            rates[name] = layerwise_lr_decay**layers
        else:
            rates[name] = head_lr_multiplier
    return rates


def shift_bias(model: PreTrainedModel, shift: torch.Tensor) -> None:
    """Add `shift` [labels] to a model's logits: in the head's bias it is saved with the weights."""
    bias = _output_bias(model)
    with torch.no_grad():
        bias.add_(shift.to(bias))


def _output_bias(model: PreTrainedModel) -> torch.Tensor:
    """The bias of the last layer of the head, which is outside the encoder, in any order of modules."""
    inside = set(model.base_model.modules())
    head = [module for module in model.modules() if isinstance(module, nn.Linear) and module not in inside]
    if not head or head[-1].bias is None or len(head[-1].bias) != model.config.num_labels:
        raise DataError(
            f"a {model.config.model_type!r} classifier does not end in a linear layer with a bias;"
            " choose another encoder architecture"
        )
    return head[-1].bias


def load_classifier(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load a classifier folder; raises DataError when it is not one."""
    if (folder / "model.onnx").is_file() and not (folder / "model.safetensors").is_file():
        raise DataError(
            f"{folder}: has a graph but no weights: it is an ONNX classifier already;"
            " use it as it is, or give the folder that it was exported from"
        )
    if not (folder / "config.json").is_file() or not (folder / "model.safetensors").is_file():
        raise DataError(f"{folder}: not a classifier folder; create one with `trialtune finetune`")
    encoder = Encoder.open(folder)
    model, new = encoder.load_telling(AutoModelForSequenceClassification)
    if new:
        raise DataError(f"{folder}: its weights lack {sorted(new)[0]}; train the classifier again")
    return model.eval(), encoder.tokenizer
