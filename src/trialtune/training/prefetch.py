"""Prefetches batches to the device while the previous step is computed."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch

Batch = Mapping[str, torch.Tensor]


class Batches(Protocol):
    """Batches of a run, each a pure function of its step: the data position is the step's number.

    A batch is that of all processes together; every process builds it and takes its own rows.
    """

    def __getitem__(self, step: int) -> Batch: ...

    def scored(self, batch: Batch) -> int:
        """The divisor of the batch's summed loss: its masked positions, or its rows."""

    def epoch(self, step: int) -> float:
        """Passes over the data completed after `step` steps."""


def feed(batches: Batches, start: int, stop: int, *, pin: bool) -> Iterator[Batch]:
    """The batches of steps `start` to `stop`, prefetched in a thread, in pinned memory for a GPU."""

    def make(step: int) -> Batch:
        batch = batches[step]
        return {name: value.pin_memory() for name, value in batch.items()} if pin else batch

    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(make, start) if start < stop else None
        for step in range(start, stop):
            assert ahead is not None
            batch = ahead.result()
            ahead = pool.submit(make, step + 1) if step + 1 < stop else None
            yield batch


def share(batch: Batch, part: int, parts: int) -> tuple[Batch, bool]:
    """One of `parts` equal shares of a batch's rows, and whether it holds any row.

    With fewer rows than parts some shares are empty; such a share has the first row,
    which must have zero weight, so that every process takes part in the step.
    """
    rows = len(batch["attention_mask"])
    first, last = part * rows // parts, (part + 1) * rows // parts
    if first == last:
        return {name: value[:1] for name, value in batch.items()}, False
    return {name: value[first:last] for name, value in batch.items()}, True
