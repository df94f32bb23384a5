"""Blocks on disk: Arrow streams, a few hundred megabytes each, that are mapped instead of loaded.

An uncompressed Arrow stream has the same layout on disk as in memory, so training reads the
blocks of a step and no more, whatever the size of the corpus, and the processes on a machine share
the page cache. It is also the format of Hugging Face data sets: `datasets.Dataset.from_file(shard)`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trialtune.corpus.documents import NO_SECTION

BLOCK_SCHEMA = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("token_type_ids", pa.list_(pa.int8())),
        ("attention_mask", pa.list_(pa.int8())),
    ]
)
SECTIONS = pa.field("section_ids", pa.list_(pa.int8()))
SHARD_BYTES = 1 << 28
BATCH_TOKENS = 1 << 19  # a record batch: the writer's buffer


class Packer:
    """Cuts a stream of ids into blocks of `size`, each between `first` and `last` ([CLS] and [SEP]).

    Every block has `size` ids except the last, which is shorter: the blocks' bodies joined are
    exactly the stream. Blocks come in batches of `batch`, however the stream is split into calls.
    """

    def __init__(self, size: int, first: int, last: int, *, batch: int) -> None:
        self._size, self._first, self._last, self._batch = size, first, last, batch
        self._held: list[NDArray[Any]] = []

    def add(self, stream: NDArray[Any]) -> Iterator[pa.ListArray]:
        """Add the stream's next part; yields the full batches."""
        self._held.append(stream)
        step = self._batch * (self._size - 2)
        if sum(map(len, self._held)) < step:
            return
        joined = np.concatenate(self._held)
        whole = len(joined) // step * step
        self._held = [joined[whole:]]
        for start in range(0, whole, step):
            yield self._blocks(joined[start : start + step])

    def end(self) -> Iterator[pa.ListArray]:
        """The remainder: less than a batch, the short block last."""
        joined = np.concatenate(self._held) if self._held else np.empty(0)
        self._held = []
        if len(joined):
            yield self._blocks(joined)

    def _blocks(self, stream: NDArray[Any]) -> pa.ListArray:
        body = self._size - 2
        count = -(-len(stream) // body)
        blocks = np.empty((count, self._size), stream.dtype)
        blocks[:, 0], blocks[:, -1] = self._first, self._last
        whole = len(stream) // body
        blocks[:whole, 1:-1] = stream[: whole * body].reshape(whole, body)
        rest = len(stream) - whole * body
        if rest:
            blocks[-1, 1 : rest + 1], blocks[-1, rest + 1] = stream[-rest:], self._last
        offsets = np.arange(count + 1, dtype=np.int32) * self._size
        offsets[-1] -= body - rest if rest else 0
        return pa.ListArray.from_arrays(offsets, blocks.ravel()[: offsets[-1]])


class BlockWriter:
    """Packs one part of a corpus and writes it to `folder/NAME-00000.arrow` and so on."""

    def __init__(
        self, folder: Path, name: str, *, size: int, special: tuple[int, int], sections: bool = False
    ) -> None:
        self._folder, self._name = folder, name
        batch = max(1, BATCH_TOKENS // size)
        self._packers = [Packer(size, *special, batch=batch)]
        self._schema = BLOCK_SCHEMA
        if sections:
            self._packers.append(Packer(size, NO_SECTION, NO_SECTION, batch=batch))
            self._schema = BLOCK_SCHEMA.append(SECTIONS)
        self._shards = 0
        self._open: tuple[pa.OSFile, pa.RecordBatchStreamWriter] | None = None
        self.blocks = self.tokens = 0

    def add(self, *streams: NDArray[Any]) -> None:
        """Add the part's next token ids, and the section of each when sections are kept."""
        packed = (packer.add(stream) for packer, stream in zip(self._packers, streams, strict=True))
        for columns in zip(*packed, strict=True):
            self._write(*columns)

    def _write(self, ids: pa.ListArray, *sections: pa.ListArray) -> None:
        zeros, ones = (number(len(ids.values), np.int8) for number in (np.zeros, np.ones))
        same = [pa.ListArray.from_arrays(ids.offsets, values) for values in (zeros, ones)]
        batch = pa.RecordBatch.from_arrays([ids, *same, *sections], schema=self._schema)
        if self._open and self._open[0].tell() >= SHARD_BYTES:
            self._close()
        if not self._open:
            file = pa.OSFile(str(self._folder / f"{self._name}-{self._shards:05d}.arrow"), "wb")
            self._open = file, pa.ipc.new_stream(file, self._schema)
            self._shards += 1
        self._open[1].write_batch(batch)
        self.blocks, self.tokens = self.blocks + len(ids), self.tokens + len(ids.values)

    def _close(self) -> None:
        if self._open:
            file, stream = self._open
            stream.close()
            file.close()
        self._open = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for columns in zip(*(packer.end() for packer in self._packers), strict=True):
                self._write(*columns)
        self._close()


def open_shards(files: Sequence[Path]) -> pa.Table:
    """The blocks of a part's shards, in order and mapped; raises ArrowInvalid when one is not a shard."""
    return pa.concat_tables(pa.ipc.open_stream(pa.memory_map(str(file))).read_all() for file in files)
