"""Pads rows of token ids to equal length."""

from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence


def pad(sequences: Sequence[Sequence[int]], pad_id: int) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` [batch, longest] of token id lists."""
    tensors = [torch.tensor(ids) for ids in sequences]
    return {
        "input_ids": pad_sequence(tensors, batch_first=True, padding_value=pad_id),
        "attention_mask": pad_sequence([torch.ones_like(ids) for ids in tensors], batch_first=True),
    }
