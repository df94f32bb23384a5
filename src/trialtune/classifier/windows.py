"""Texts as windows of tokens, and those as batches to be read once, with others of about their length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from trialtune.models.padding import pad

MOST_WINDOWS = 32  # of a text; what lies behind them is not read


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, *, max_length: int) -> list[list[int]]:
    """Token ids of each text with special tokens, cut to `max_length`."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
    ids: list[list[int]] = encoded["input_ids"]
    return ids


@dataclass(frozen=True)
class Windows:
    """Texts as token ids with special tokens, a long one in several windows, equal windows once."""

    distinct: list[list[int]]
    used: np.ndarray  # [windows of all texts, in order] the place in `distinct`
    starts: np.ndarray  # [texts] where in `used` each text's windows begin

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, *, max_length: int) -> "Windows":
        """Windows of at most `max_length` tokens, one behind the other; the first 32 of each text.

        Texts that the tokeniser reads alike (case, accents, spaces) share their windows.
        """
        if not texts:
            return cls([], np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        encoded = tokenizer(
            list(texts),
            truncation=True,
            max_length=max_length,
            return_overflowing_tokens=True,
            return_attention_mask=False,
        )
        places: dict[tuple[int, ...], int] = {}
        used: list[int] = []
        starts: list[int] = []
        for ids, text in zip(encoded["input_ids"], encoded["overflow_to_sample_mapping"], strict=True):
            if text == len(starts):
                starts.append(len(used))
            if len(used) - starts[-1] < MOST_WINDOWS:
                used.append(places.setdefault(tuple(ids), len(places)))
        return cls([list(ids) for ids in places], np.array(used), np.array(starts))

    def join(self, logits: np.ndarray, *, kind: str) -> np.ndarray:
        """Logits of texts [texts, labels] from those of distinct windows [windows, labels].

        Multi-label: a text has what any of its windows has, the greatest logit. Multi-class: the mean
        over its windows, a token counting as much as any other.
        """
        if not len(self.starts):
            return logits
        found = logits[self.used]
        if kind == "multi_label":
            joined: np.ndarray = np.maximum.reduceat(found, self.starts)
            return joined
        lengths = np.array([len(ids) for ids in self.distinct], dtype=logits.dtype)[self.used, None]
        joined = np.add.reduceat(found * lengths, self.starts) / np.add.reduceat(lengths, self.starts)
        return joined

    def ends(self, repeats: np.ndarray) -> np.ndarray:
        """How many texts end in each distinct window [windows], when each stands for `repeats` [texts]."""
        last = self.used[np.append(self.starts[1:], len(self.used))[: len(self.starts)] - 1]
        counts: np.ndarray = np.bincount(last, weights=repeats, minlength=len(self.distinct))
        return counts


def token_batches(
    encoded: Sequence[Sequence[int]], pad_id: int, *, tokens: int
) -> Iterator[tuple[list[int], dict[str, torch.Tensor]]]:
    """All texts, the longest first, in batches of at most `tokens` tokens with padding, or of one text.

    Each comes as the places of its texts in `encoded`, by which answers go back into order, and
    `input_ids` and `attention_mask` [batch, longest].
    """
    order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row]))
    start = 0
    while start < len(order):
        rows = order[start : start + max(1, tokens // len(encoded[order[start]]))]
        start += len(rows)
        yield rows, pad([encoded[row] for row in rows], pad_id)
