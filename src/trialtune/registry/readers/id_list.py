"""Lists of NCT ids: the trials of a base corpus."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TextIO, cast

import pyarrow as pa

from trialtune.errors import DataError, UsageError
from trialtune.registry.readers.hub import local_copy
from trialtune.registry.readers.parquet import open_parquet
from trialtune.registry.readers.tables import csv_cells, id_column, no_id_column
from trialtune.registry.readers.text import text_reader
from trialtune.registry.record.row import Row, bad_row
from trialtune.registry.record.validate import is_nct_id, nct_id_of, shown

#: Kinds of tables that ids are read from; all but the last also as .gz.
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class IdList:
    """Distinct NCT ids in order, and the entries that were not NCT ids with their row and reason."""

    ids: tuple[str, ...]
    refused: tuple[Row, ...] = ()

    @property
    def bad(self) -> int:
        """How many entries were not NCT ids."""
        return len(self.refused)


def read_ids(path: Path) -> IdList:
    """NCT ids of a .txt file (one a line), or of the id column of a .csv, .tsv, .jsonl (also .gz), .parquet.

    The file may lie on the Hugging Face Hub: hf://datasets/OWNER/NAME/FILE. Raises
    UsageError for a missing path or another kind of file, DataError when there is no NCT id in it.
    """
    path = local_copy(path)
    name = path.name.lower()
    if not path.is_file():
        raise UsageError(f"{path}: no such file; give a list of NCT ids or a snapshot")
    try:
        if name.endswith(".parquet"):
            return id_list(_parquet_cells(path), path.name)
        if name.removesuffix(".gz").endswith((".txt", *TABLE_SUFFIXES[:-1])):
            with (
                path.open("rb") as file,
                gzip.open(file) if name.endswith(".gz") else file as handle,
                text_reader(cast(IO[bytes], handle), path.name, "utf-8") as text,
            ):
                return id_list(_text_cells(text, path), path.name)
    except (OSError, EOFError, zlib.error, UnicodeError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read ({error}); get or write the file again") from error
    raise UsageError(f"{path}: not a list of ids; use .txt (one id a line), {', '.join(TABLE_SUFFIXES)}")


def id_list(cells: Iterable[object], label: str) -> IdList:
    """The NCT ids among the cells, numbered from 1, of a source called `label`.

    Raises DataError when there is none.
    """
    ids: dict[str, None] = {}
    refused = []
    number = 0
    for number, cell in enumerate(cells, start=1):
        if is_nct_id(cell):
            ids[str(nct_id_of(cell))] = None
        elif cell is None or not str(cell).strip():
            refused.append(bad_row(label, number, "no NCT id", {}))
        else:
            reason = f"bad NCT id: {shown(str(cell))} (expected NCT and eight digits)"
            refused.append(bad_row(label, number, reason, {"nct_id": cell}))
    if not ids:
        raise DataError(f"{label}: no NCT id among its {number} entries; an id is NCT and eight digits")
    return IdList(tuple(ids), tuple(refused))


def _text_cells(text: TextIO, path: Path) -> Iterator[object]:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".txt"):
        yield from (line.strip() for line in text if line.strip())
        return
    if name.endswith(".jsonl"):
        yield from _json_cells(text)
        return
    parsed = csv_cells(text, path.name, tabs=name.endswith(".tsv"))
    # A row that cannot be parsed (a str) is an entry without an id: counted, not lost.
    rows = ([cells] if isinstance(cells, str) else cells for cells in parsed)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{path}: the file is empty; a header with an NCT id column is expected")
    if len(header) == 1 and is_nct_id(header[0]):
        yield header[0]
        yield from (row[0] for row in rows)
        return
    first = next(rows, None)
    column = id_column(header, dict(zip(header, first or [], strict=False)))
    if column is None:
        raise no_id_column(str(path), header)
    position = header.index(column)
    for row in chain([first] if first is not None else [], rows):
        yield row[position] if position < len(row) else None


def _json_cells(text: TextIO) -> Iterator[object]:
    column = None
    for line in text:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            column = column or id_column(row, row)
            yield row.get(column)
        elif line.strip():
            yield None


def _parquet_cells(path: Path) -> Iterator[object]:
    with open_parquet(path) as file:
        names = file.schema_arrow.names
        head = next(file.iter_batches(1), None)
        first = head.to_pylist()[0] if head is not None and head.num_rows else {}
        column = id_column(names, first)
        if column is None:
            raise no_id_column(str(path), names)
        for batch in file.iter_batches(columns=[column]):
            yield from batch.column(0).to_pylist()
