"""User tables: canonical column names, and the labels of each row."""

import re
from collections.abc import Container, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import polars as pl

from trialtune.dataset.frames import as_polars, with_texts
from trialtune.errors import DataError
from trialtune.registry.record.aliases import table_columns
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

    Any other column whose first cell is an NCT id is `nct_id` where none has that name.
    """
    names = {old: plain_name(old) for old in frame.columns}
    wanted = {old: _ALIASES.get(name, name) for old, name in names.items()}
    if "nct_id" not in wanted.values() and (ids := _id_column(frame)) is not None:
        wanted[ids] = "nct_id"
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


def _id_column(frame: pl.DataFrame) -> str | None:
    """The column of NCT ids under another name: as `registry import` knows it, or by its first cell."""
    known = table_columns(tuple(frame.columns))
    named = known.used.get("nct_id")
    if named is not None and ("nct" in named.lower() or _holds_ids(frame[named])):
        return named
    return next((name for name in known.unused if _holds_ids(frame[name])), None)


def _holds_ids(column: pl.Series) -> bool:
    first = next(iter(column.drop_nulls()), None)
    return isinstance(first, str) and _NCT_ID.fullmatch(first) is not None


class TextSource(NamedTuple):
    """Which columns of a user's table hold the texts of a task, and the NCT ids; by their own names."""

    texts: dict[str, str]  # field of the task, or `text` -> column
    nct_id: str | None


def text_source(task: Task, frame: pl.DataFrame, *, where: str = "the table") -> TextSource:
    """The columns that `ids_and_texts` reads; raises DataError when none has texts."""
    rows = prepared(frame)
    own = dict(zip(rows.columns, frame.columns, strict=True))
    columns = task.columns_in(tuple(rows.columns))
    if not columns:
        raise _no_text(task, rows.columns, where)
    return TextSource({field: own[column] for field, column in columns.items()}, own.get("nct_id"))


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
        raise _no_text(task, rows.columns, where)
    rows = readable(given, rows, columns, where)
    texts = [task.text_of(row) for row in rows.select(columns.values()).iter_rows(named=True)]
    ids = rows["nct_id"].to_list() if "nct_id" in rows.columns else [None] * len(rows)
    return ids, texts


def _no_text(task: Task, names: Sequence[str], where: str) -> DataError:
    has = f"the columns {', '.join(names)}" if names else "no columns"
    needed = f"{where}: has {has}; it needs one named text, or a snapshot with {' or '.join(task.fields)}"
    if list(names) == ["nct_id"]:
        return DataError(f"{needed}; the trials of a list of ids: trialtune registry sync --ids {where}")
    if task.spec is not None:
        return DataError(f"{needed}; rename the column of your texts, or name it in the task: `text: COLUMN`")
    return DataError(f"{needed}; rename the column of your texts")
