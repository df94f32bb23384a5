"""Packed blocks: equal pieces of a token stream, with no padding and no lost remainder."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from trialtune.corpus.documents import NO_SECTION
from trialtune.corpus.folder import Corpus
from trialtune.corpus.shards import open_shards
from trialtune.errors import DataError

Part = Literal["train", "heldout"]


@dataclass(frozen=True)
class Blocks:
    """Blocks in memory, all tensors [n, block_size]; only a corpus's last block carries padding.

    Stored in small types; batches are int64.
    """

    input_ids: torch.Tensor  # int32
    attention_mask: torch.Tensor  # int8
    section_ids: torch.Tensor | None = None  # int8; held-out blocks: index into SECTION_NAMES, or NO_SECTION

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    def __getitem__(self, rows: torch.Tensor) -> "Blocks":
        sections = None if self.section_ids is None else self.section_ids[rows]
        return Blocks(self.input_ids[rows], self.attention_mask[rows], sections)

    def streams(self) -> Iterator[NDArray[Any]]:
        """All real token ids, padding left out."""
        yield self.input_ids[self.attention_mask.bool()].numpy()


class BlockSource(Protocol):
    """Blocks in memory or on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: torch.Tensor) -> Blocks:
        """The blocks of some rows, in the given order."""

    def streams(self) -> Iterator[NDArray[Any]]:
        """All real token ids, padding left out, in pieces of a bounded size."""


class StoredBlocks:
    """Blocks in an Arrow table, which may be mapped from disk: only the requested rows are read."""

    def __init__(self, table: pa.Table, *, pad_id: int) -> None:
        self._pad_id = pad_id
        self._sections = "section_ids" in table.column_names
        self._batches = [_Batch(batch) for batch in table.to_batches() if len(batch)]
        ends = np.cumsum([len(batch.offsets) - 1 for batch in self._batches])
        self._starts: list[int] = [0, *ends.tolist()]

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def tokens(self) -> int:
        """Number of real tokens, padding left out."""
        return sum(map(len, self.streams()))

    def __getitem__(self, rows: torch.Tensor) -> Blocks:
        offsets = self._batches[0].offsets
        shape = len(rows), int(offsets[1] - offsets[0])  # only the last block is shorter
        ids = np.full(shape, self._pad_id, np.int32)
        mask = np.zeros(shape, np.int8)
        sections = np.full(shape, NO_SECTION, np.int8) if self._sections else None
        for place, row in enumerate(rows.tolist()):
            index = bisect_right(self._starts, row) - 1
            batch, first = self._batches[index], self._starts[index]
            begin, end = batch.offsets[row - first : row - first + 2]
            ids[place, : end - begin] = batch.ids[begin:end]
            mask[place, : end - begin] = 1
            if sections is not None:
                sections[place, : end - begin] = batch.sections[begin:end]
        return Blocks(
            torch.from_numpy(ids),
            torch.from_numpy(mask),
            None if sections is None else torch.from_numpy(sections),
        )

    def head(self, count: int) -> Blocks:
        """An evenly spread choice of at most `count` blocks."""
        return self[torch.linspace(0, len(self) - 1, min(count, len(self))).long()]

    def streams(self) -> Iterator[NDArray[Any]]:
        for batch in self._batches:
            yield batch.ids[batch.offsets[0] : batch.offsets[-1]]


class _Batch:
    """The buffers of a record batch as arrays, which copies nothing."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.offsets = batch["input_ids"].offsets.to_numpy()
        self.ids = batch["input_ids"].values.to_numpy()
        if "section_ids" in batch.schema.names:
            self.sections = batch["section_ids"].values.to_numpy()


def block_files(folder: Path, part: Part) -> list[Path]:
    """The files of a part's blocks, in order; raises DataError when there is none."""
    files = sorted(folder.glob(f"{part}-*.arrow"))
    if not files:
        raise DataError(f"{folder}: has no {part} blocks; run `trialtune corpus build` again")
    return files


def read_blocks(folder: Path, part: Part, *, pad_id: int) -> StoredBlocks:
    """Open a part's blocks; shards are mapped, not loaded. Raises DataError when a file is broken."""
    files = block_files(folder, part)
    try:
        table = open_shards(files)
    except (OSError, pa.ArrowException) as error:
        named = ", ".join(file.name for file in files[:3])
        raise DataError(
            f"{folder}: cannot read blocks from {named} ({error}); run `trialtune corpus build` again"
        ) from error
    described = Corpus.read(folder)
    expected = described.blocks if part == "train" else described.heldout_blocks
    if len(table) != expected:
        raise DataError(
            f"{folder}: {len(table):,} {part} blocks, but corpus.json lists {expected:,};"
            " run `trialtune corpus build` again"
        )
    return StoredBlocks(table, pad_id=pad_id)
