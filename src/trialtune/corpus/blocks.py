"""Packed blocks: token streams cut into equal pieces, with no padding and no lost remainder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from trialtune.errors import DataError

BLOCK_SCHEMA = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("token_type_ids", pa.list_(pa.int8())),
        ("attention_mask", pa.list_(pa.int8())),
    ]
)


def pack(documents: Iterable[list[int]], *, block_size: int, cls_id: int, sep_id: int) -> Iterator[list[int]]:
    """Cut documents (token ids without special tokens) into `[CLS] ... [SEP]` blocks.

    Documents follow one another, each ended by `sep_id`; every block has `block_size` ids but the
    last, which is shorter. The blocks' bodies joined are exactly the documents joined.
    """
    body = block_size - 2
    pending: list[int] = []
    for document in documents:
        pending.extend(document)
        pending.append(sep_id)
        start = 0
        while len(pending) - start >= body:
            yield [cls_id, *pending[start : start + body], sep_id]
            start += body
        del pending[:start]
    if pending:
        yield [cls_id, *pending, sep_id]


def write_blocks(path: Path, blocks: Iterable[list[int]], *, rows_per_group: int = 4096) -> tuple[int, int]:
    """Stream blocks into a Parquet file; returns (blocks, tokens)."""
    count = tokens = 0
    with pq.ParquetWriter(path, BLOCK_SCHEMA, compression="zstd") as writer:
        for group in _grouped(blocks, rows_per_group):
            lengths = np.fromiter(map(len, group), dtype=np.int32, count=len(group))
            offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), type=pa.int32())
            total = int(lengths.sum())
            flat = np.fromiter((token for block in group for token in block), dtype=np.int32, count=total)
            columns = [
                pa.ListArray.from_arrays(offsets, pa.array(flat)),
                pa.ListArray.from_arrays(offsets, pa.array(np.zeros(total, dtype=np.int8))),
                pa.ListArray.from_arrays(offsets, pa.array(np.ones(total, dtype=np.int8))),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=BLOCK_SCHEMA))
            count, tokens = count + len(group), tokens + total
    return count, tokens


def _grouped(blocks: Iterable[list[int]], size: int) -> Iterator[list[list[int]]]:
    group: list[list[int]] = []
    for block in blocks:
        group.append(block)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


@dataclass(frozen=True)
class Blocks:
    """Blocks in memory: `input_ids` [n, block_size]; only the last block may carry padding."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    @property
    def tokens(self) -> int:
        """Number of real tokens, padding left out."""
        return int(self.attention_mask.sum())

    def head(self, count: int) -> "Blocks":
        """An evenly spread choice of at most `count` blocks."""
        chosen = torch.linspace(0, len(self) - 1, min(count, len(self))).long()
        return Blocks(self.input_ids[chosen], self.attention_mask[chosen])


def read_blocks(path: Path, *, pad_id: int) -> Blocks:
    """Load a block file; raises DataError when it is missing or holds no block."""
    try:
        column = pq.read_table(path, columns=["input_ids"])["input_ids"].combine_chunks()
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path}: cannot read blocks ({error}); run `trialtune corpus build` again"
        ) from error
    if len(column) == 0:
        raise DataError(f"{path}: no blocks; the corpus has too little text")
    lengths = np.asarray(column.value_lengths())
    mask = np.arange(lengths.max())[None, :] < lengths[:, None]
    input_ids = np.full(mask.shape, pad_id, dtype=np.int64)
    input_ids[mask] = np.asarray(column.flatten())
    return Blocks(torch.from_numpy(input_ids), torch.from_numpy(mask.astype(np.int64)))
