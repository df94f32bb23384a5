"""Texts as batches to be read once, with others of about their length."""

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedTokenizerFast

from trialtune.training.batching import pad


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, *, max_length: int) -> list[list[int]]:
    """Token ids of each text with special tokens, cut to `max_length`."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def token_batches(
    encoded: Sequence[Sequence[int]], pad_id: int, *, tokens: int
) -> Iterator[tuple[list[int], dict[str, torch.Tensor]]]:
    """All texts, the longest first, in batches of at most `tokens` tokens with padding, or of one text.

    Each comes as the places of its texts in `encoded`, by which answers go back into order, and
    `input_ids` and `attention_mask` [batch, longest].
    """
    order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row]))
    while order:
        count = max(1, tokens // len(encoded[order[0]]))
        rows, order = order[:count], order[count:]
        yield rows, pad([encoded[row] for row in rows], pad_id)
