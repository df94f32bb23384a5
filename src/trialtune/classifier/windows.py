"""Splits texts into windows of tokens, and groups windows of similar length into batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MOST_WINDOWS = 32  # of a text; what follows them is ignored


@dataclass(frozen=True)
class Windows:
    """Texts as token ids with special tokens, a long one split into several windows, equal windows once."""

    distinct: list[list[int]]
    used: np.ndarray  # [windows of all texts, in order] the place in `distinct`
    starts: np.ndarray  # [texts] where in `used` each text's windows begin

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: "Tokenizer") -> "Windows":
        """Consecutive windows as long as the tokenizer truncates; the first 32 of each text.

        Texts that the tokenizer maps to the same tokens (case, accents, spaces) share their windows.
        """
        places: dict[tuple[int, ...], int] = {}
        used: list[int] = []
        starts: list[int] = []
        for encoding in tokenizer.encode_batch_fast(list(texts)):
            starts.append(len(used))
            for window in [encoding, *encoding.overflowing][:MOST_WINDOWS]:
                used.append(places.setdefault(tuple(window.ids), len(places)))
        distinct = [list(ids) for ids in places]
        return cls(distinct, np.array(used, dtype=np.int64), np.array(starts, dtype=np.int64))

    def join(self, logits: np.ndarray, *, kind: str) -> np.ndarray:
        """Logits of texts [texts, labels] from those of distinct windows [windows, labels].

        Multi-label: the greatest logit of its windows. Multi-class: the mean
        over its windows, weighted by their tokens.
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
        """How many texts end in each distinct window [windows], each text counted `repeats` [texts] times."""
        last = self.used[np.append(self.starts[1:], len(self.used))[: len(self.starts)] - 1]
        counts: np.ndarray = np.bincount(last, weights=repeats, minlength=len(self.distinct))
        return counts


def cut_into_windows(tokenizer: "Tokenizer", max_length: int) -> "Tokenizer":
    """The tokenizer itself, set to give windows of `max_length` tokens without padding."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    tokenizer.encode_special_tokens = True  # a literal [MASK] in the input is text
    return tokenizer


def token_batches(
    encoded: Sequence[Sequence[int]], pad_id: int, *, tokens: int
) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
    """All texts, the longest first, in batches of at most `tokens` tokens with padding, or of one text.

    group_by_length of transformers is for training alone; its pipeline pads texts in input order, by a fixed
    batch size whatever their length, and needs PyTorch.

    Each is the positions of its texts in `encoded`, to restore their order, and
    `input_ids` and `attention_mask`, int64 [batch, longest].
    """
    order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row]))
    start = 0
    while start < len(order):
        longest = len(encoded[order[start]])
        rows = order[start : start + max(1, tokens // longest)]
        start += len(rows)
        ids = np.full((len(rows), longest), pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(encoded[row])] = encoded[row]
            mask[place, : len(encoded[row])] = 1
        yield rows, {"input_ids": ids, "attention_mask": mask}
