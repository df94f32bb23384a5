"""Dropout on a CPU whose masks are cheap to draw."""

import torch
from torch import nn

_LEVELS = 1 << 16  # a mask's value takes so many bits of chance


class CheapDropout(nn.Dropout):
    """`nn.Dropout` with a mask of 16 random bits a value, four to a draw.

    torch draws a number for each value, which is a tenth of a small encoder's training step. The
    probability is that of the nearest 1/65,536; what is kept is scaled by what it really is. The draws
    come from torch's own generator, so that a seed decides them.
    """

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        dropped = round(self.p * _LEVELS)
        if not self.training or values.device.type != "cpu" or not 0 < dropped < _LEVELS:
            return super().forward(values)
        count = values.numel()
        bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
        chances = bits.view(torch.int16)[:count].view(values.shape)
        mask = (chances >= dropped - _LEVELS // 2).to(values.dtype)
        return values * mask.mul_(_LEVELS / (_LEVELS - dropped))


def cheapen_dropout(model: nn.Module) -> None:
    """Replace the dropout layers of a model; those inside attention functions stay."""
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if type(layer) is nn.Dropout:
                parent.add_module(name, CheapDropout(layer.p).train(layer.training))
