"""Writes snapshots in bounded memory; the same rows give the same bytes."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from trialtune import __version__
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA

_GROUP_ROWS = 10_000
# Arrow's plain string columns are limited to 2 GiB: a group of very long records has fewer than 10,000 rows.
_GROUP_BYTES = 1 << 27


class SnapshotWriter:
    """Collects tables and writes them in row groups of 10,000 with zstd; bounded memory.

    A thread compresses one group while the next is collected, so that producers of rows
    do not wait for it.
    `metadata` has the snapshot's origin; `more` are columns after those of `SNAPSHOT_SCHEMA`.
    """

    def __init__(self, path: Path, metadata: Mapping[str, str], *more: pa.Field) -> None:
        about = _prefixed({"version": __version__, **metadata})
        self.schema = pa.schema([*SNAPSHOT_SCHEMA, *more], metadata=about)
        self._writer = pq.ParquetWriter(path, self.schema, compression="zstd")
        self._thread = ThreadPoolExecutor(1, "parquet")
        self._writing: Future[None] | None = None
        self._tables: list[pa.Table] = []
        self._rows = self._bytes = 0

    def add(self, table: pa.Table) -> None:
        """Add rows with the schema's columns."""
        self._tables.append(table.cast(self.schema))
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def tell(self, metadata: Mapping[str, str]) -> None:
        """Add the findings from reading the rows."""
        self._written()
        self._writer.add_key_value_metadata(_prefixed(metadata))

    def _flush(self, *, all_of_it: bool = False) -> None:
        held = pa.concat_tables(self._tables) if self._tables else self.schema.empty_table()
        end = held.num_rows
        if not all_of_it and self._bytes < _GROUP_BYTES:
            end -= end % _GROUP_ROWS
        self._written()
        self._writing = self._thread.submit(self._write, held.slice(0, end))
        rest = held.slice(end)
        self._tables, self._rows, self._bytes = [rest], rest.num_rows, rest.nbytes

    def _write(self, rows: pa.Table) -> None:
        for start in range(0, rows.num_rows, _GROUP_ROWS):
            self._writer.write_table(rows.slice(start, _GROUP_ROWS))

    def _written(self) -> None:
        """Wait for the thread; raises its exception."""
        if self._writing is not None:
            self._writing.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush(all_of_it=True)
                self._written()
        finally:
            self._thread.shutdown()
            self._writer.close()


def _prefixed(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"trialtune.{key}": value for key, value in metadata.items()}
