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


def filter_rows(
    source: Path, out: Path, keep: set[str], extra: Mapping[str, list[str]] | None = None
) -> None:
    """Copy the snapshot rows whose NCT id is in `keep`, in their order, batch by batch.

    `extra` adds a list column `changed_fields` from NCT id to field names.
    """
    with pq.ParquetFile(source) as file:
        schema = SNAPSHOT_SCHEMA.with_metadata(
            {k: v for k, v in (file.schema_arrow.metadata or {}).items() if k.startswith(b"trialtune.")}
        )
        if extra is not None:
            schema = schema.append(pa.field("changed_fields", pa.list_(pa.string())))
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for batch in file.iter_batches(_GROUP_ROWS, columns=SNAPSHOT_SCHEMA.names):
                ids = batch.column("nct_id").to_pylist()
                mask = pa.array([nct_id in keep for nct_id in ids])
                rows = pa.Table.from_batches([batch]).filter(mask).select(SNAPSHOT_SCHEMA.names)
                if extra is not None:
                    fields = [extra[nct_id] for nct_id in ids if nct_id in keep]
                    rows = rows.append_column("changed_fields", pa.array(fields, pa.list_(pa.string())))
                if rows.num_rows:
                    writer.write_table(rows.cast(schema))


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
