"""What the training loop is told."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TrainSettings:
    """Settings of one training run; a step is one optimiser update."""

    steps: int = 400
    batch_size: int = 16
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.06  # share of the steps over which the rate rises from 0
    schedule: str = "linear"  # "linear" or "cosine" decay to 0, or "constant"
    max_grad_norm: float = 1.0
    evaluate_every: int = 100  # steps; scoring also happens before the first and after the last
    checkpoint_every: int = 200  # steps
    keep_checkpoints: int = 2
    precision: str = "auto"  # "bf16", "fp32", or "auto": bf16 where the processor computes in it
    seed: int = 13


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """The autocast type of a precision on a device; None means plain fp32."""
    if precision == "fp32":
        return None
    if precision == "bf16":
        return torch.bfloat16
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else None
