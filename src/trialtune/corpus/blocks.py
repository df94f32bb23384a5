"""Packed blocks: token streams cut into equal pieces, with no padding and no lost remainder."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from trialtune.corpus.documents import NO_SECTION
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


def write_blocks(
    path: Path,
    blocks: Iterable[list[int]],
    *,
    section_ids: Iterable[list[int]] | None = None,
    rows_per_group: int = 4096,
) -> tuple[int, int]:
    """Stream blocks into a Parquet file, with each token's section when given; returns (blocks, tokens)."""
    count = tokens = 0
    schema = BLOCK_SCHEMA
    if section_ids is not None:
        schema = schema.append(pa.field("section_ids", pa.list_(pa.int8())))
    blocks, section_ids = iter(blocks), iter(section_ids or ())
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(itertools.islice(blocks, rows_per_group)):
            columns = {
                "input_ids": group,
                "token_type_ids": [[0] * len(block) for block in group],
                "attention_mask": [[1] * len(block) for block in group],
                "section_ids": list(itertools.islice(section_ids, rows_per_group)),
            }
            writer.write_table(pa.table({name: columns[name] for name in schema.names}, schema=schema))
            count, tokens = count + len(group), tokens + sum(map(len, group))
    return count, tokens


@dataclass(frozen=True)
class Blocks:
    """Blocks in memory, all tensors [n, block_size]; only the last block may carry padding.

    Held in small types, for a whole registry's sake; batches of them are made int64.
    """

    input_ids: torch.Tensor  # int32
    attention_mask: torch.Tensor  # int8
    section_ids: torch.Tensor | None = None  # int8; held-out blocks: index into SECTION_NAMES, or NO_SECTION

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    @property
    def tokens(self) -> int:
        """Number of real tokens, padding left out."""
        return int(self.attention_mask.sum())

    def head(self, count: int) -> "Blocks":
        """An evenly spread choice of at most `count` blocks."""
        chosen = torch.linspace(0, len(self) - 1, min(count, len(self))).long()
        sections = None if self.section_ids is None else self.section_ids[chosen]
        return Blocks(self.input_ids[chosen], self.attention_mask[chosen], sections)


def read_blocks(path: Path, *, pad_id: int) -> Blocks:
    """Load a block file; raises DataError when it is missing or holds no block."""
    try:
        table = pq.read_table(path, columns=["input_ids", *_sections(path)])
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path}: cannot read blocks ({error}); run `trialtune corpus build` again"
        ) from error
    if len(table) == 0:
        raise DataError(f"{path}: no blocks; the corpus has too little text")
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    lengths = np.asarray(columns["input_ids"].value_lengths())
    mask = np.arange(lengths.max())[None, :] < lengths[:, None]

    def padded(name: str, fill: int, dtype: type[np.signedinteger[Any]]) -> torch.Tensor:
        values = np.full(mask.shape, fill, dtype=dtype)
        values[mask] = np.asarray(columns[name].flatten())
        return torch.from_numpy(values)

    return Blocks(
        padded("input_ids", pad_id, np.int32),
        torch.from_numpy(mask.astype(np.int8)),
        padded("section_ids", NO_SECTION, np.int8) if "section_ids" in columns else None,
    )


def _sections(path: Path) -> list[str]:
    return [name for name in pq.read_schema(path).names if name == "section_ids"]
