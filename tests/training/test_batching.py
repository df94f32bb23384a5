"""Batches are functions of the step, cover every item each pass, and pad little."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from trialtune.corpus.blocks import Blocks
from trialtune.corpus.masking import IGNORE, Masker
from trialtune.models.padding import pad
from trialtune.training.batching import MaskedBatches, TextBatches


def masked(count: int, batch_size: int, seed: int = 0) -> MaskedBatches:
    ids = torch.arange(count)[:, None] + 10 + torch.zeros(count, 8, dtype=torch.long)
    return MaskedBatches(Blocks(ids, torch.ones_like(ids)), Masker(4, 999, (0,), 0.3), batch_size, seed)


@given(st.integers(1, 40), st.integers(1, 16), st.integers(0, 5))
def test_every_pass_holds_every_block_once(count: int, batch_size: int, seed: int) -> None:
    batches = masked(count, batch_size, seed)
    passes = 3
    rows = []
    for step in range(-(-passes * count // batch_size)):
        batch = batches[step]
        original = torch.where(batch["labels"] == IGNORE, batch["input_ids"], batch["labels"])
        rows += [int(row[0]) - 10 for row in original]
    for epoch in range(passes):
        assert sorted(rows[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_any_step_can_be_had_at_any_time() -> None:
    batches = masked(20, 4)
    late = batches[7]["input_ids"]
    for step in range(7):
        batches[step]
    assert torch.equal(batches[7]["input_ids"], late)
    assert not torch.equal(masked(20, 4, seed=1)[7]["input_ids"], late)


def test_masks_differ_from_pass_to_pass() -> None:
    batches = masked(4, 4)
    first, second = batches[0], batches[1]
    assert not torch.equal(first["labels"].sort(0)[0], second["labels"].sort(0)[0])


def texts(lengths: list[int], batch_size: int) -> TextBatches:
    ids = [[index + 10] * length for index, length in enumerate(lengths)]
    return TextBatches(ids, torch.arange(len(ids)), batch_size, pad_id=0, seed=3)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(1, 8))
def test_every_text_comes_once_a_pass_with_its_own_label(lengths: list[int], batch_size: int) -> None:
    batches = texts(lengths, batch_size)
    labels = []
    for step in range(batches.per_epoch):
        batch = batches[step]
        assert torch.equal(batch["input_ids"][:, 0] - 10, batch["labels"])
        assert batch["attention_mask"].sum(1).tolist() == [lengths[label] for label in batch["labels"]]
        assert batch["input_ids"].shape[1] == max(lengths[label] for label in batch["labels"])
        labels += batch["labels"].tolist()
    assert sorted(labels) == list(range(len(lengths)))


def test_texts_of_like_length_share_a_batch() -> None:
    lengths = torch.randint(1, 200, (2000,), generator=torch.Generator().manual_seed(0)).tolist()
    batches = texts(lengths, 16)
    cells = sum(batches[step]["input_ids"].numel() for step in range(batches.per_epoch))
    assert cells < 1.1 * sum(lengths)


def test_pad() -> None:
    batch = pad([[5], [6, 7, 8]], pad_id=1)
    assert batch["input_ids"].tolist() == [[5, 1, 1], [6, 7, 8]]
    assert batch["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
