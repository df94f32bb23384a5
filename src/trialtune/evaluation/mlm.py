"""How well a masked language model fills in held-out text, at masks that never change."""

import math

import torch
from torch import nn

from trialtune.corpus.blocks import Blocks
from trialtune.corpus.masking import Masker
from trialtune.models.mlm import MaskedOutput

_BATCH = 32


def mlm_metrics(model: nn.Module, blocks: Blocks, masker: Masker, *, seed: int = 0) -> dict[str, float]:
    """Accuracy, loss (nats) and perplexity at the masked positions of `blocks`.

    The masks depend on `seed` and the blocks alone, so two models, or one model at two times, are
    asked exactly the same questions.
    """
    input_ids, labels = masker(blocks.input_ids, seed=seed)
    device = next(model.parameters()).device
    loss = correct = count = 0.0
    for start in range(0, len(blocks), _BATCH):
        part = slice(start, start + _BATCH)
        output: MaskedOutput = model(
            input_ids[part].to(device), labels[part].to(device), blocks.attention_mask[part].to(device)
        )
        loss += output.loss_sum.item()
        correct += output.correct.item()
        count += output.count.item()
    mean = loss / max(count, 1)
    return {"accuracy": correct / max(count, 1), "loss": mean, "perplexity": math.exp(min(mean, 50.0))}


def token_counts(blocks: Blocks, vocab_size: int) -> torch.Tensor:
    """How often each token id occurs in `blocks` [vocab_size]."""
    return torch.bincount(blocks.input_ids[blocks.attention_mask.bool()], minlength=vocab_size)
