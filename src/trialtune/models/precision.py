"""The arithmetic that a device computes in."""

import torch


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """The autocast type of a precision on a device; None means plain fp32."""
    if precision == "fp32":
        return None
    if precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else None
