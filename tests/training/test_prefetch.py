"""Every row of a batch goes to exactly one share, and batches come in order, made ahead."""

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trialtune.training.prefetch import feed, share


def batch(rows: int) -> dict[str, torch.Tensor]:
    return {"attention_mask": torch.ones(rows, 3), "labels": torch.arange(rows)}


@given(st.integers(1, 40), st.integers(1, 12))
def test_shares_hold_every_row_once(rows: int, parts: int) -> None:
    shares = [share(batch(rows), part, parts) for part in range(parts)]
    assert [row for one, real in shares if real for row in one["labels"].tolist()] == list(range(rows))
    sizes = [len(one["labels"]) if real else 0 for one, real in shares]
    assert max(sizes) - min(sizes) <= 1
    assert all(len(one["labels"]) == 1 for one, real in shares if not real)


class Numbered:
    """Batches that hold their step's number."""

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        return {"step": torch.tensor(step)}

    def scored(self, batch) -> int:
        return 1

    def epoch(self, step: int) -> float:
        return float(step)


@given(st.integers(0, 5), st.integers(0, 9))
def test_batches_come_in_order(start: int, stop: int) -> None:
    steps = [int(one["step"]) for one in feed(Numbered(), start, stop, pin=False)]
    assert steps == list(range(start, stop))


def test_an_error_in_a_batch_comes_through_and_leaves_no_thread() -> None:
    class Broken(Numbered):
        def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
            if step == 2:
                raise ValueError("bad batch")
            return super().__getitem__(step)

    before = threading.active_count()
    with pytest.raises(ValueError, match="bad batch"):
        list(feed(Broken(), 0, 5, pin=False))
    for _ in feed(Numbered(), 0, 5, pin=False):
        break
    assert threading.active_count() == before


def test_the_next_batch_is_made_meanwhile() -> None:
    made = threading.Event()

    class Watched(Numbered):
        def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
            if step == 1:
                made.set()
            return super().__getitem__(step)

    batches = feed(Watched(), 0, 5, pin=False)
    next(batches)
    assert made.wait(timeout=30)
    batches.close()
