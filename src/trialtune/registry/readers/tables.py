"""Rows of CSV and Parquet tables: one trial a row, under whatever names the columns have."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from trialtune.errors import DataError
from trialtune.registry.readers.parquet import open_parquet
from trialtune.registry.readers.text import lines, undecodable
from trialtune.registry.record.aliases import columns_of
from trialtune.registry.record.parse import record_from_row
from trialtune.registry.record.row import Row, bad_row, record_row
from trialtune.registry.record.validate import is_nct_id

#: Python's own limit (131,072) is below many real fields; a larger field than this is an open quote.
LONGEST_FIELD = 1 << 27

_BATCH_ROWS = 500
_DELIMITERS = ",\t;|"


def csv_rows(text: TextIO, label: str, *, tabs: bool) -> Iterator[Row]:
    """One row a CSV record under a header; rows are numbered from 1 below the header.

    Raises DataError when the header has no column of NCT ids.
    """
    parsed = csv_cells(text, label, tabs=tabs)
    header = next(parsed, None)
    if header is None:
        raise DataError(f"{label}: the file is empty; a header with an NCT id column is expected")
    if isinstance(header, str):
        raise DataError(f"{label}: the header cannot be read ({header}); save the file as plain CSV")
    first = next(parsed, None)
    names = _named(header, first if isinstance(first, list) else [], label)
    rest = chain([first], parsed) if first is not None else parsed
    for number, cells in enumerate(rest, start=1):
        if isinstance(cells, str):
            yield bad_row(label, number, f"broken CSV: {cells}", {})
        elif reason := undecodable("".join(cells)):
            yield bad_row(label, number, reason, dict(zip(names, cells, strict=False)))
        elif len(cells) != len(names):
            reason = f"wrong number of cells: {len(cells)}, but the header has {len(names)}; check the quotes"
            yield bad_row(label, number, reason, dict(zip(names, cells, strict=False)))
        else:
            yield record_row(label, number, record_from_row(dict(zip(names, cells, strict=True))))


def csv_cells(text: TextIO, label: str, *, tabs: bool) -> Iterator[list[str] | str]:
    """The cells of each row that is not blank, or the error (a str) of a row that cannot be parsed."""
    csv.field_size_limit(LONGEST_FIELD)
    pieces = lines(text)
    first = next(pieces, "")
    delimiter = "\t" if tabs else max(_DELIMITERS, key=first.count)
    # Strict: a stray quote makes one bad row; it must not silently swallow the rows that follow.
    reader = csv.reader(chain([first], pieces), delimiter=delimiter, strict=True)
    good = 0  # the last line of the last row that could be parsed
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise DataError(
                    f"{label}: a quote that opens on line {good + 1} or soon after is never closed, so "
                    "the rows behind it cannot be told apart; close it or take it out"
                ) from error
            yield f"{error} at line {reader.line_num}"
        else:
            good = reader.line_num
            if cells:
                yield cells


def parquet_rows(path: Path, label: str) -> Iterator[Row]:
    """One row a Parquet row, numbered from 1; columns that no snapshot field needs are not read.

    Raises DataError when the file is not Parquet or has no column of NCT ids.
    """
    try:
        with open_parquet(path) as file:
            names = file.schema_arrow.names
            head = next(file.iter_batches(1, columns=_scalar_names(file.schema_arrow)), None)
            known = {} if head is None else {n: v[0] for n, v in columns_as_lists(head).items()}
            renamed = dict(zip(names, _named(names, [known.get(n) for n in names], label), strict=True))
            wanted = set(columns_of(tuple(renamed.values())).values())
            columns = [name for name in names if renamed[name] in wanted]
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                cells = {renamed[name]: values for name, values in columns_as_lists(batch).items()}
                for row in zip(*cells.values(), strict=True):
                    number += 1
                    record = record_from_row(dict(zip(cells, row, strict=True)))
                    yield record_row(label, number, record)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file ({error}); get or write the file again"
        ) from error


def id_column(names: Iterable[str], first_row: Mapping[str, object]) -> str | None:
    """The column that holds NCT ids: by its name, else the first one whose first cell is an id."""
    named = columns_of(tuple(names)).get("nct_id")
    if named is not None:
        return named
    return next((name for name, value in first_row.items() if is_nct_id(value)), None)


def no_id_column(label: str, names: list[str]) -> DataError:
    """The error for a table without NCT ids: what it has, what is expected."""
    found = ", ".join(repr(name) for name in names[:20]) + (", …" if len(names) > 20 else "")
    return DataError(
        f"{label}: no column of NCT ids among {found}; name one nct_id, NCTId, 'NCT Number', trial_id or id"
    )


def _named(header: list[str], first: list[Any], label: str) -> list[str]:
    """Column names as the records know them: unique, the id column found."""
    names: list[str] = []
    for position, name in enumerate(header):
        names.append(f"column {position + 1}" if not name.strip() or name in names else name)
    column = id_column(names, dict(zip(names, first, strict=False)))
    if column is None:
        if reason := undecodable("".join(header)):
            raise DataError(f"{label}: {reason}")
        raise no_id_column(label, header)
    return names if columns_of((column,)) else ["nct_id" if name == column else name for name in names]


def _scalar_names(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if not pa.types.is_nested(field.type)]


def columns_as_lists(batch: pa.RecordBatch | pa.Table) -> dict[str, list[Any]]:
    """The columns as Python lists; bytes that are not UTF-8 become lone surrogates."""
    return {name: _values(batch.column(name)) for name in batch.schema.names}


def _values(column: pa.Array) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        # Parquet does not check its text: bad bytes become lone surrogates, as in the other readers.
        binary = column.cast(pa.large_binary()).to_pylist()
        values = [None if cell is None else cell.decode("utf-8", "surrogateescape") for cell in binary]
    return values
