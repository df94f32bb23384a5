"""Stored blocks give the rows that are asked for, whichever batch they lie in."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from trialtune.corpus.blocks import Blocks, StoredBlocks
from trialtune.corpus.documents import NO_SECTION

CLS, SEP, PAD = 101, 102, 0
ROWS = [[CLS, 200 + n, 5, SEP] for n in range(100)] + [[CLS, 7, SEP]]


@pytest.fixture
def stored() -> StoredBlocks:
    columns = {"input_ids": pa.array(ROWS, pa.list_(pa.int32()))}
    columns["section_ids"] = pa.array(
        [[NO_SECTION] + [2] * (len(row) - 1) for row in ROWS], pa.list_(pa.int8())
    )
    whole = pa.table(columns)
    return StoredBlocks(pa.concat_tables([whole[:7], whole[7:60], whole[60:]]), pad_id=PAD)


def test_rows_come_in_the_order_asked_for(stored) -> None:
    chosen = stored[torch.tensor([100, 6, 7, 59, 60, 0, 6])]
    assert chosen.input_ids[:, 1].tolist() == [7, 206, 207, 259, 260, 200, 206]
    assert chosen.input_ids[0].tolist() == [CLS, 7, SEP, PAD]
    assert chosen.attention_mask.tolist() == [[1, 1, 1, 0], *[[1] * 4] * 6]
    assert chosen.section_ids[0].tolist() == [NO_SECTION, 2, 2, NO_SECTION]
    assert (chosen.input_ids.dtype, chosen.attention_mask.dtype) == (torch.int32, torch.int8)


def test_counts_leave_padding_out(stored) -> None:
    assert (len(stored), stored.tokens) == (101, 403)
    joined = np.concatenate(list(stored.streams())).tolist()
    assert joined == [token for row in ROWS for token in row]
    in_memory = stored[torch.arange(101)]
    assert np.concatenate(list(in_memory.streams())).tolist() == joined


def test_a_choice_of_blocks_is_spread_evenly(stored) -> None:
    assert stored.head(5).input_ids[:, 1].tolist() == [200, 225, 250, 275, 7]
    assert len(stored.head(1000)) == 101


def test_blocks_in_memory_are_chosen_alike(stored) -> None:
    rows = torch.tensor([3, 100, 3])
    every = stored[torch.arange(len(stored))]
    assert isinstance(every, Blocks)
    assert torch.equal(every[rows].input_ids, stored[rows].input_ids)
    assert torch.equal(every[rows].section_ids, stored[rows].section_ids)
