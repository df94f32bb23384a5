"""Chunks of a source: read by one process, parsed into rows and Arrow tables by any."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from trialtune.registry.readers.arrow_stream import table_bytes, table_of
from trialtune.registry.record.findings import Findings
from trialtune.registry.record.row import Row
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA, Record
from trialtune.workers import in_order

_BATCH_SIZE = 1 << 21
_BATCH_CHUNKS = 500


@dataclass(slots=True)
class Chunk:
    """A unit of reading: its content, and the function that parses (file, number, content) into rows.

    The function is at module level and the content can be pickled, so that another process may run it.
    `number` is that of the first row; `size` is roughly that of bytes; `source` names the file where
    a record does not.
    """

    file: str
    number: int
    read: Callable[[str, int, Any], Iterable[Row]]
    content: Any
    size: int = 1_000
    source: str | None = None

    def rows(self) -> Iterator[Row]:
        """Every trial of the chunk, good and bad, in order."""
        for row in self.read(self.file, self.number, self.content):
            if row.record is not None:
                row.record["source"] = row.record["source"] or self.source
            yield row


def ready(row: Row) -> Chunk:
    """The chunk of a row that the reader has already parsed."""
    return Chunk(row.file, row.number, _as_it_is, row)


def _as_it_is(_file: str, _number: int, row: Row) -> Iterable[Row]:
    return (row,)


@dataclass(frozen=True)
class Packed:
    """The rows of some chunks: the good ones a table of `SNAPSHOT_SCHEMA` with hashes, the bad unchanged.

    `places` holds the file and row number of each good one; a bad one comes before the good one of the
    index with it.
    """

    good: pa.Table
    places: list[tuple[str, int]]
    bad: list[tuple[int, Row]] = field(default_factory=list)
    #: For each good one, the values that identify a trial's newest version.
    versions: list[str | None] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (table_bytes(self.good), self.places, self.bad, self.versions, self.findings)


def _unpickled(good: bytes, *rest: Any) -> Packed:
    return Packed(table_of(good), *rest)


def pack(chunks: list[Chunk]) -> Packed:
    """The rows of the chunks, in order."""
    records: list[Record] = []
    places: list[tuple[str, int]] = []
    bad: list[tuple[int, Row]] = []
    versions: list[str | None] = []
    findings = Findings()
    for chunk in chunks:
        for row in chunk.rows():
            if row.record is None:
                bad.append((len(records), row))
            else:
                records.append(row.record)
                places.append((row.file, row.number))
                versions.append(row.notes.version if row.notes else None)
            if row.notes is not None:
                findings.add(row.notes)
    table = pa.Table.from_pylist(records, schema=SNAPSHOT_SCHEMA)
    return Packed(table, places, bad, versions, findings)


def packed(chunks: Iterable[Chunk], *, workers: int) -> Iterator[Packed]:
    """The chunks packed in order by a number of processes; the result does not depend on it.

    Only a few batches of some MB are in memory at a time. Raises as `trialtune.workers.in_order` does.
    """
    return in_order(pack, _batches(chunks), workers=workers)


def _batches(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    batch: list[Chunk] = []
    size = 0
    for chunk in chunks:
        batch.append(chunk)
        size += chunk.size
        if size >= _BATCH_SIZE or len(batch) >= _BATCH_CHUNKS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
