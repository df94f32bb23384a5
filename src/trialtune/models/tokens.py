"""Texts as token ids, truncated, for training."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, *, max_length: int) -> list[list[int]]:
    """Token ids of each text with special tokens, truncated to `max_length`."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
    ids: list[list[int]] = encoded["input_ids"]
    return ids
