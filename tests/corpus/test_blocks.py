"""Packing loses nothing and pads nothing; block files open elsewhere."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialtune.corpus.blocks import pack, read_blocks, write_blocks
from trialtune.errors import DataError

CLS, SEP, PAD = 101, 102, 0
documents = st.lists(st.lists(st.integers(min_value=200, max_value=300), max_size=70), max_size=20)


@given(documents, st.integers(min_value=16, max_value=64))
def test_blocks_hold_exactly_the_documents(texts: list[list[int]], block_size: int) -> None:
    blocks = list(pack(texts, block_size=block_size, cls_id=CLS, sep_id=SEP))
    joined = [token for block in blocks for token in block[1:-1]]
    assert joined == [token for text in texts for token in [*text, SEP]]
    assert all(block[0] == CLS and block[-1] == SEP for block in blocks)
    assert all(len(block) == block_size for block in blocks[:-1])
    assert all(len(block) <= block_size for block in blocks[-1:])


def test_block_file_round_trip_and_plain_readers(tmp_path) -> None:
    path = tmp_path / "train.parquet"
    blocks = [[CLS, 5, 6, SEP], [CLS, 7, 8, SEP], [CLS, 9, SEP]]
    assert write_blocks(path, iter(blocks)) == (3, 11)
    loaded = read_blocks(path, pad_id=PAD)
    assert loaded.input_ids.tolist() == [[CLS, 5, 6, SEP], [CLS, 7, 8, SEP], [CLS, 9, SEP, PAD]]
    assert loaded.tokens == 11
    frame = pl.read_parquet(path)
    assert frame["input_ids"].to_list() == blocks
    assert frame["attention_mask"].to_list() == [[1] * len(block) for block in blocks]
    assert frame["token_type_ids"].to_list() == [[0] * len(block) for block in blocks]


def test_a_choice_of_blocks_is_spread_evenly(tmp_path) -> None:
    write_blocks(tmp_path / "b.parquet", ([CLS, 200 + n, SEP] for n in range(100)))
    blocks = read_blocks(tmp_path / "b.parquet", pad_id=PAD)
    assert [row[1] for row in blocks.head(5).input_ids.tolist()] == [200, 224, 249, 274, 299]
    assert len(blocks.head(1000)) == 100


def test_a_broken_block_file_is_named(tmp_path) -> None:
    (tmp_path / "train.parquet").write_text("not parquet")
    with pytest.raises(DataError, match=r"train\.parquet.*corpus build"):
        read_blocks(tmp_path / "train.parquet", pad_id=PAD)
