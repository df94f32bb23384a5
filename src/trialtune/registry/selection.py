"""Rows of a snapshot picked by their place in the file, read and written in bounded memory."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.files import atomic_file
from trialtune.registry.parquet import open_parquet
from trialtune.registry.records import SNAPSHOT_SCHEMA

_BATCH_ROWS = 5_000
_GROUP_ROWS = 10_000
_GROUP_BYTES = 1 << 28


def picked_rows(path: Path, mask: npt.NDArray[np.bool_]) -> Iterator[tuple[pa.Table, npt.NDArray[np.intp]]]:
    """The snapshot's rows where `mask` (one entry a row) is true, as tables with their places in the file.

    Row groups without such a row are not read.
    """
    with open_parquet(path) as file:
        end = 0
        for group in range(file.num_row_groups):
            start, end = end, end + file.metadata.row_group(group).num_rows
            if not mask[start:end].any():
                continue
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=SNAPSHOT_SCHEMA.names):
                wanted = mask[start : start + batch.num_rows]
                if wanted.any():
                    rows = pa.Table.from_batches([batch]).select(SNAPSHOT_SCHEMA.names)
                    yield rows.filter(pa.array(wanted)), start + np.flatnonzero(wanted)
                start += batch.num_rows


def copy_rows(path: Path, out: Path, mask: npt.NDArray[np.bool_]) -> None:
    """Write the snapshot's rows where `mask` is true, in their order, to a snapshot of their own."""
    with PickedWriter(out, snapshot_origin(path)) as writer:
        for rows, _ in picked_rows(path, mask):
            writer.add(rows)


def snapshot_origin(path: Path) -> dict[bytes, bytes]:
    """What a snapshot's metadata say of its origin, to be handed on to a part of it."""
    metadata = pq.read_schema(path).metadata or {}
    return {name: value for name, value in metadata.items() if name.startswith(b"trialtune.")}


class PickedWriter:
    """Writes tables of snapshot rows atomically, in row groups of about 10,000, zstd; bounded memory."""

    def __init__(self, path: Path, origin: Mapping[bytes, bytes], *more: pa.Field) -> None:
        self.schema = pa.schema([*SNAPSHOT_SCHEMA, *more], metadata=dict(origin))
        self._held: list[pa.Table] = []
        self._file = atomic_file(path)
        self._writer = pq.ParquetWriter(self._file.__enter__(), self.schema, compression="zstd")

    def add(self, rows: pa.Table) -> None:
        """Take rows of the snapshot's columns, and of those given as `more`."""
        if rows.num_rows:
            self._held.append(rows.cast(self.schema))
        if (
            sum(table.num_rows for table in self._held) >= _GROUP_ROWS
            or sum(table.nbytes for table in self._held) >= _GROUP_BYTES
        ):
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held))
        self._held = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()
            self._file.__exit__(kind, error, trace)
