"""Backends: they compute a classifier's logits, batch by batch."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

# Rows, and their model inputs: `input_ids` and `attention_mask`, int64 [rows, tokens].
Batches = Iterable[tuple[list[int], dict[str, np.ndarray]]]
Scores = Iterator[tuple[list[int], np.ndarray]]  # rows, and their logits [rows, labels]


class Backend(Protocol):
    """Scores batches one after the other; `tokens` is its preferred batch size."""

    tokens: int
    workers: int  # batches in parallel

    def score(self, batches: Batches) -> Scores: ...
