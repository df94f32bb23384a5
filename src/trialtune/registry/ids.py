"""Lists of NCT ids: the trials of a base corpus."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.errors import DataError, UsageError
from trialtune.registry.records import is_nct_id, nct_id_of
from trialtune.registry.tables import csv_cells, id_column, no_id_column
from trialtune.registry.textfiles import text_reader


@dataclass(frozen=True)
class IdList:
    """Distinct NCT ids in order, and how many entries were not NCT ids."""

    ids: tuple[str, ...]
    bad: int


def read_ids(path: Path) -> IdList:
    """NCT ids of a .txt file (one a line), or of the id column of a .csv, .tsv (each also .gz) or .parquet.

    Raises UsageError for a missing path or another kind of file, DataError when there is no NCT id in it.
    """
    name = path.name.lower()
    if not path.is_file():
        raise UsageError(f"{path}: no such file; give a list of NCT ids or a snapshot")
    try:
        if name.endswith(".parquet"):
            cells = _parquet_cells(path)
        elif name.removesuffix(".gz").endswith((".txt", ".csv", ".tsv")):
            cells = _text_cells(path)
        else:
            raise UsageError(f"{path}: not a list of ids; use .txt (one id a line), .csv, .tsv or .parquet")
    except (OSError, EOFError, UnicodeError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read ({error}); get or write the file again") from error
    ids = dict.fromkeys(str(nct_id_of(cell)) for cell in cells if is_nct_id(cell))
    if not ids:
        raise DataError(f"{path}: no NCT id among its {len(cells)} entries; an id is NCT and eight digits")
    return IdList(tuple(ids), bad=sum(not is_nct_id(cell) for cell in cells))


def _text_cells(path: Path) -> list[Any]:
    name = path.name.lower().removesuffix(".gz")
    zipped = path.name.lower().endswith(".gz")
    with (
        path.open("rb") as file,
        gzip.open(file) if zipped else file as handle,
        text_reader(cast(IO[bytes], handle), path.name, "utf-8") as text,
    ):
        if name.endswith(".txt"):
            return [line.strip() for line in text if line.strip()]
        rows = [
            cells
            for cells in csv_cells(text, path.name, tabs=name.endswith(".tsv"))
            if isinstance(cells, list)
        ]
    if not rows:
        raise DataError(f"{path}: the file is empty; a header with an NCT id column is expected")
    header, *rest = rows
    if len(header) == 1 and is_nct_id(header[0]):
        return [row[0] for row in rows]
    column = id_column(header, dict(zip(header, rest[0] if rest else [], strict=False)))
    if column is None:
        raise no_id_column(str(path), header)
    position = header.index(column)
    return [row[position] if position < len(row) else None for row in rest]


def _parquet_cells(path: Path) -> list[Any]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        head = next(file.iter_batches(1), None)
        first = head.to_pylist()[0] if head is not None and head.num_rows else {}
        column = id_column(names, first)
        if column is None:
            raise no_id_column(str(path), names)
        cells: list[Any] = file.read(columns=[column]).column(0).to_pylist()
    return cells
