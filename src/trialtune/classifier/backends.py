"""What computes a classifier's logits, batch by batch."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

# Rows, and what the model reads of them: `input_ids` and `attention_mask`, int64 [rows, tokens].
Batches = Iterable[tuple[list[int], dict[str, np.ndarray]]]
Scores = Iterator[tuple[list[int], np.ndarray]]  # rows, and their logits [rows, labels]


class Backend(Protocol):
    """Scores batches one after the other; `tokens` is how many suit it in one."""

    tokens: int
    workers: int  # batches at a time

    def score(self, batches: Batches) -> Scores: ...
