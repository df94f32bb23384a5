"""User tables: canonical column names, and the labels of each row."""

import re
from collections.abc import Container, Mapping
from functools import partial
from typing import Any

import polars as pl

from trialtune.dataset.frames import as_polars, with_texts
from trialtune.errors import DataError
from trialtune.tasks.spec import DIVIDERS
from trialtune.tasks.task import Task
from trialtune.tasks.text import normalize_text, plain_name

_ALIASES = {
    "eligibility": "eligibility_criteria",
    "criteria": "eligibility_criteria",
    "nctid": "nct_id",
    "nct_number": "nct_id",
}

_NCT_ID = re.compile(r"\s*NCT\d{8}\s*", re.IGNORECASE)

_TRUE = {"true", "1", "1.0", "yes"}

_FALSE = {"false", "0", "0.0", "no", "", "none", "nan"}


def prepared(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with canonical column names, where no other column has them already.

    `id` is the NCT id when the first of its cells is one.
    """
    names = {old: plain_name(old) for old in frame.columns}
    wanted = {old: _ALIASES.get(name, name) for old, name in names.items()}
    if "nct_id" not in wanted.values():
        wanted |= {old: "nct_id" for old, name in names.items() if name == "id" and _holds_ids(frame[old])}
    taken: set[str] = set()
    renamed: dict[str, str] = {}
    # An exact name wins, then the closest spelling.
    for old in sorted(names, key=lambda old: (old != wanted[old], names[old] != wanted[old])):
        renamed[old] = old if wanted[old] in taken else wanted[old]
        taken.add(renamed[old])
    return frame.rename(renamed)


def readable(given: pl.DataFrame, rows: pl.DataFrame, columns: Mapping[str, str], where: str) -> pl.DataFrame:
    """`rows` (`given`, after `prepared`) with text in `columns` (field -> column) and `nct_id`.

    Raises DataError when a column holds something else, or two differ only in case and spaces.
    """
    read = {"nct_id": "nct_id", **columns}
    for column in read.values():
        alike = [name for name in given.columns if plain_name(name) == column]
        if len(alike) > 1 and column not in alike:
            raise DataError(
                f"{where}: {' and '.join(map(repr, alike))} could both be the column {column}; rename one"
            )
    return with_texts(rows, read, where)


def label_cells(column: pl.Series, known: Container[str], *, kind: str, where: str) -> list[list[str]]:
    """The label names in each cell: a list, or a text; [] when it is empty.

    A string is one label for a multi-class task. Otherwise it is split at `,`, `;` and `|`, but not inside a
    name among the normalized names `known`.
    """
    if column.dtype in (pl.Categorical, pl.Enum, pl.Null, pl.Boolean) or column.dtype.is_integer():
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        divide = partial(divided, known=known) if kind == "multi_label" else lambda cell: [cell]
        return [divide(cell) if cell else [] for cell in column]
    if isinstance(column.dtype, pl.List | pl.Array) and column.dtype.inner in (
        pl.String,
        pl.Categorical,
        pl.Enum,
        pl.Null,
    ):
        return [[name for name in cell if name] if cell else [] for cell in column.to_list()]
    raise DataError(f"{where}: column {column.name} has type {column.dtype}; it must hold label names")


def divided(cell: str, *, known: Container[str]) -> list[str]:
    """The names in a cell, the longest known ones first: a name may contain a separator itself."""
    parts = re.split(f"([{DIVIDERS}])", cell)  # every other part is a separator
    names, start = [], 0
    while start < len(parts):
        ends = range(len(parts), start + 1, -2)
        end = next((e for e in ends if normalize_text("".join(parts[start:e])) in known), start + 1)
        names.append("".join(parts[start:end]))
        start = end + 1
    return names


def label_flags(table: pl.DataFrame, columns: Mapping[str, str], where: str) -> list[list[str]]:
    """The labels of each row, from a true/false or 0/1 column per label (`columns`: column -> label).

    Raises DataError for any other value.
    """
    found: list[list[str]] = [[] for _ in range(table.height)]
    for column, label in columns.items():
        for row, cell in enumerate(table[column].to_list()):
            written = str(cell).strip().lower()
            if written in _TRUE:
                found[row].append(label)
            elif written not in _FALSE:
                raise DataError(f"{where}, row {row + 1}, {column}: {cell!r} is neither true/false nor 0/1")
    return found


def _holds_ids(column: pl.Series) -> bool:
    first = next(iter(column.drop_nulls()), None)
    return isinstance(first, str) and _NCT_ID.fullmatch(first) is not None


def ids_and_texts(
    task: Task, frame: Any, *, where: str = "the table"
) -> tuple[list[str | None], list[str | None]]:
    """NCT id (where there is one) and `Task.text_of` of each row of a Polars or pandas table, in order.

    Raises DataError when the table has no column of text for the task, or it holds something else.
    """
    given = as_polars(frame)
    rows = prepared(given)
    columns = task.columns_in(tuple(rows.columns))
    if not columns:
        has = f"the columns {', '.join(rows.columns)}" if rows.columns else "no columns"
        raise DataError(
            f"{where}: has {has}; it needs one named text, or a snapshot with {' or '.join(task.fields)}"
        )
    rows = readable(given, rows, columns, where)
    texts = [task.text_of(row) for row in rows.select(columns.values()).iter_rows(named=True)]
    ids = rows["nct_id"].to_list() if "nct_id" in rows.columns else [None] * len(rows)
    return ids, texts
