"""Packing loses nothing and pads nothing; shards open in other programs, and without being loaded."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialtune.corpus import shards
from trialtune.corpus.documents import NO_SECTION
from trialtune.corpus.shards import BlockWriter, Packer, open_shards

CLS, SEP = 101, 102
documents = st.lists(st.lists(st.integers(min_value=200, max_value=300), max_size=70), max_size=20)


def streams(texts: list[list[int]]) -> list[np.ndarray]:
    return [np.array([*text, SEP], np.int32) for text in texts]


@given(documents, st.integers(min_value=16, max_value=64), st.integers(min_value=1, max_value=5))
def test_blocks_hold_exactly_the_documents(pack, texts, size: int, batch: int) -> None:
    packer = Packer(size, CLS, SEP, batch=batch)
    batches = [packed for stream in streams(texts) for packed in packer.add(stream)]
    assert all(len(packed) == batch for packed in batches)
    blocks = [block for packed in (*batches, *packer.end()) for block in packed.to_pylist()]
    assert blocks == pack(texts, size, CLS, SEP)
    assert not list(packer.end())


def test_other_programs_read_a_shard(tmp_path) -> None:
    with BlockWriter(tmp_path, "heldout", size=4, special=(CLS, SEP), sections=True) as writer:
        writer.add(np.array([5, 6, SEP], np.int32), np.array([0, 3, NO_SECTION], np.int8))
    assert (writer.blocks, writer.tokens) == (2, 7)
    frame = pl.read_ipc_stream(tmp_path / "heldout-00000.arrow")
    assert frame.to_dict(as_series=False) == {
        "input_ids": [[CLS, 5, 6, SEP], [CLS, SEP, SEP]],
        "token_type_ids": [[0] * 4, [0] * 3],
        "attention_mask": [[1] * 4, [1] * 3],
        "section_ids": [[NO_SECTION, 0, 3, NO_SECTION], [NO_SECTION] * 3],
    }


def test_many_shards_are_one_part_and_are_mapped(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 2_000)
    monkeypatch.setattr(shards, "BATCH_TOKENS", 64)
    ids = np.arange(2_000, dtype=np.int32)
    with BlockWriter(tmp_path, "train", size=16, special=(CLS, SEP)) as writer:
        for part in np.array_split(ids, 7):
            writer.add(part)
    files = sorted(tmp_path.iterdir())
    assert len(files) > 5
    before = pa.total_allocated_bytes()
    table = open_shards(files)
    assert pa.total_allocated_bytes() - before < 1_000  # nothing was copied
    blocks = table["input_ids"].to_pylist()
    assert len(blocks) == writer.blocks
    assert [token for block in blocks for token in block[1:-1]] == ids.tolist()


def test_an_error_is_not_hidden_by_what_is_left_to_write(tmp_path) -> None:
    with pytest.raises(ZeroDivisionError), BlockWriter(tmp_path, "train", size=16, special=(CLS, SEP)) as w:
        w.add(np.arange(5, dtype=np.int32))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
