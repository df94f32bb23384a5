"""Writing snapshot rows to Parquet so that the same rows always give the same bytes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from trialtune import __version__
from trialtune.errors import DataError
from trialtune.registry.records import SNAPSHOT_SCHEMA, Record

_GROUP_ROWS = 10_000
# Arrow's plain string columns hold 2 GiB: a group of very long records is closed before 10,000 rows.
_GROUP_CHARACTERS = 1 << 27


class SnapshotWriter:
    """Collects records and writes them in row groups of 10,000 with zstd; bounded memory."""

    def __init__(self, path: Path, metadata: Mapping[str, str]) -> None:
        about = {f"trialtune.{key}": value for key, value in metadata.items()}
        self._schema = SNAPSHOT_SCHEMA.with_metadata({"trialtune.version": __version__, **about})
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._records: list[Record] = []
        self._characters = 0

    def add(self, record: Record) -> None:
        """Take one record of every column of `SNAPSHOT_SCHEMA`."""
        self._records.append(record)
        self._characters += sum(len(value) for value in record.values() if value)
        if len(self._records) >= _GROUP_ROWS or self._characters >= _GROUP_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._records:
            self._writer.write_table(pa.Table.from_pylist(self._records, schema=self._schema))
        self._records, self._characters = [], 0

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


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Say in words what keeps files from being written: no permission, no space, a file in the way."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(
            f"{out}: cannot be written ({error.strerror or error});"
            " check the folder's permissions and free space"
        ) from error
