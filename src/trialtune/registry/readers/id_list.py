"""Lists of NCT ids: the trials of a base corpus."""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TextIO, cast

import pyarrow as pa

from trialtune.errors import DataError, UsageError
from trialtune.registry.readers.delimited import Broken, DelimitedRows
from trialtune.registry.readers.hub import local_copy
from trialtune.registry.readers.parquet import open_parquet
from trialtune.registry.readers.tables import id_column, no_id_column
from trialtune.registry.readers.text import text_reader
from trialtune.registry.record.row import Row, bad_row
from trialtune.registry.record.validate import NCT_ID_IN_TEXT, bad_id

#: Table formats that ids are read from; all but the last also as .gz.
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


# Text around ids: URLs of the site, quotes, separators.
_ADDRESS = re.compile(r"https?://\S*?(?=NCT\d{8})", re.IGNORECASE)
_WRAPPING = re.compile(r"[\s,;|\"'\[\](){}/<>.]+")


@dataclass(frozen=True)
class IdList:
    """Distinct NCT ids in order, and the invalid entries with their row and reason."""

    ids: tuple[str, ...]
    refused: tuple[Row, ...] = ()

    @property
    def bad(self) -> int:
        """The number of invalid entries."""
        return len(self.refused)


def read_ids(path: Path) -> IdList:
    """NCT ids of a .txt file (one or more a line), or of a .csv, .tsv, .jsonl (also .gz) or .parquet table.

    The file may be on the Hugging Face Hub: hf://datasets/OWNER/NAME/FILE. Raises
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
        raise DataError(f"{path}: cannot be read ({error}); download or write the file again") from error
    raise UsageError(f"{path}: not a list of ids; use .txt (one id a line), {', '.join(TABLE_SUFFIXES)}")


def id_list(cells: Iterable[object], label: str) -> IdList:
    """The NCT ids among the cells, numbered from 1, of a source named `label`.

    Raises DataError when there is none.
    """
    ids: dict[str, None] = {}
    refused = []
    number = 0
    for number, cell in enumerate(cells, start=1):
        found = NCT_ID_IN_TEXT.findall(str(cell)) if cell is not None else []
        ids.update(dict.fromkeys(map(str.upper, found)))
        if not found and (cell is None or not str(cell).strip()):
            refused.append(bad_row(label, number, "no NCT id", {}))
        elif not found or _rest(str(cell)):
            refused.append(bad_row(label, number, bad_id(_rest(str(cell)) or str(cell)), {"nct_id": cell}))
    if not ids:
        raise DataError(f"{label}: no NCT id among its {number} entries; an id is NCT and eight digits")
    return IdList(tuple(ids), tuple(refused))


def _rest(cell: str) -> str:
    """The text of an entry besides its ids and what surrounds them: another entry."""
    return _WRAPPING.sub("", NCT_ID_IN_TEXT.sub(" ", _ADDRESS.sub("", cell)))


def _text_cells(text: TextIO, path: Path) -> Iterator[object]:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".txt"):
        yield from (line.strip() for line in text if line.strip())
        return
    if name.endswith(".jsonl"):
        yield from _json_cells(text)
        return
    parsed = DelimitedRows(text, tabs=name.endswith(".tsv"))
    # A row that cannot be parsed is still an entry: counted, not lost.
    rows = ([cells.text] if isinstance(cells, Broken) else cells for cells in parsed)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{path}: the file is empty; a header with an NCT id column is expected")
    if any(NCT_ID_IN_TEXT.search(cell) for cell in header):
        # No header: ids, one or several per line. Other cells are ignored.
        for row in chain([header], rows):
            found = [cell for cell in row if NCT_ID_IN_TEXT.search(cell)]
            yield from found or [" ".join(row)]
        return
    parsed.expect(len(header), 0)
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
