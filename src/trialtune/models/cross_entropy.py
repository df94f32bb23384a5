"""Cross entropy over a vocabulary, a few rows at a time."""

from typing import Any

import torch
from torch import nn

# Rows of logits processed together: 32 rows of a 30,000-word vocabulary stay in the cache.
_ROWS = 32


class _SummedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        starts = range(0, len(logits), _ROWS)
        parts = [logits[start : start + _ROWS].float().logsumexp(dim=1, keepdim=True) for start in starts]
        normaliser = torch.cat(parts)
        ctx.save_for_backward(logits, targets, normaliser)
        return (normaliser - logits.gather(1, targets[:, None]).float()).sum()

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor, None]:
        logits, targets, normaliser = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        for start in range(0, len(logits), _ROWS):
            rows = slice(start, start + _ROWS)
            part = logits[rows].float().sub_(normaliser[rows]).exp_()
            chosen = targets[rows, None]
            part.scatter_add_(1, chosen, torch.full(chosen.shape, -1.0))
            gradient[rows] = part.mul_(grad_output)
        return gradient, None


def summed_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross entropy summed over rows, in nats: `logits` [n, vocab] of any float type, `targets` [n].

    Computed in fp32. On a CPU it is done a few rows at a time, inside the cache, and neither
    log-probabilities nor their gradient are ever stored for all rows.
    """
    if logits.device.type != "cpu" or not len(logits):
        return nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
    total: torch.Tensor = _SummedCrossEntropy.apply(logits, targets)  # type: ignore[no-untyped-call]
    return total
