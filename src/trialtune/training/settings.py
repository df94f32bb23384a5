"""What the training loop is told."""

from typing import Literal

import torch
from pydantic import Field

from trialtune.settings import Settings


class TrainSettings(Settings):
    """Settings of one training run; a step is one optimiser update."""

    steps: int = Field(400, ge=1)
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.06, ge=0, le=1, description="share of the steps over which the rate rises from 0")
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    max_grad_norm: float = Field(1.0, gt=0)
    evaluate_every: int = Field(100, ge=1, description="steps; also before the first and after the last")
    checkpoint_every: int = Field(200, ge=1, description="steps")
    keep_checkpoints: int = Field(2, ge=1)
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="auto: bf16 where it is native")
    seed: int = 13


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """The autocast type of a precision on a device; None means plain fp32."""
    if precision == "fp32":
        return None
    if precision == "bf16":
        return torch.bfloat16
    native = (
        torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    )
    return torch.bfloat16 if native else None
