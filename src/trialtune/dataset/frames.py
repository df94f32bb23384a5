"""Tables from Python: Polars, pandas or Arrow in, Polars out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from trialtune.errors import DataError, UsageError
from trialtune.registry.record.schema import COLUMNS, LIST_COLUMNS

_ONE_TEXT = set(COLUMNS) - set(LIST_COLUMNS)


def as_polars(frame: Any) -> pl.DataFrame:
    """A table as a Polars frame; values without a Polars type become a column of objects.

    pandas' missing values (None, NaN, NA) become nulls. Raises UsageError for anything that is not a table,
    DataError for columns of one name or of different lengths.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    module = type(frame).__module__.partition(".")[0]
    # Column by column, and not by Arrow: it refuses a frame for one mixed column, which may not even be used.
    if module == "pandas" and hasattr(frame, "columns"):
        return _table((name, frame.iloc[:, place].astype(object)) for place, name in enumerate(frame.columns))
    if module == "pyarrow" and hasattr(frame, "schema"):
        _each_once(frame.schema.names)
        return pl.DataFrame(pl.from_arrow(frame))
    if isinstance(frame, Mapping):
        for name, values in frame.items():
            if isinstance(values, str | bytes) or not isinstance(values, Iterable):
                raise UsageError(
                    f"the column {name} is one {type(values).__name__}, not a list of cells; write [value]"
                )
        return _table(frame.items())
    raise UsageError(
        f"expected a table, not {type(frame).__name__}; give a Polars or pandas frame, or a mapping of its"
        " columns"
    )


def with_texts(table: pl.DataFrame, columns: Mapping[str, str], where: str) -> pl.DataFrame:
    """`table` with categories as text in `columns` (field -> the column, if present).

    Raises DataError when one holds something other than text. Lists of texts are accepted where a record
    has lists, and for columns that a record does not have.
    """
    for field, column in columns.items():
        kind = table.schema.get(column, pl.String())
        if kind == pl.Object:
            _refuse_objects(table[column], where)
        inner = kind.inner if isinstance(kind, pl.List) else kind
        listed = isinstance(kind, pl.List) and field in _ONE_TEXT
        if listed or inner not in (pl.String, pl.Null, pl.Categorical, pl.Enum):
            raise DataError(f"{where}: column {column} holds {kind}; it must hold text")
        if inner in (pl.Categorical, pl.Enum):
            wanted = pl.List(pl.String()) if isinstance(kind, pl.List) else pl.String()
            table = table.with_columns(pl.col(column).cast(wanted))
    return table


def _table(columns: Iterable[tuple[Any, Iterable[Any]]]) -> pl.DataFrame:
    named = [(str(name), _series(values)) for name, values in columns]
    _each_once([name for name, _ in named])
    heights = {name: len(values) for name, values in named}
    if len(set(heights.values())) > 1:
        lengths = ", ".join(f"{name} {height:,}" for name, height in heights.items())
        raise DataError(f"the table: its columns differ in length ({lengths}); give them the same length")
    return pl.DataFrame(dict(named))


def _each_once(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"the table: {names.count(name)} columns are named {name}; rename all but one")


def _series(values: Any) -> pl.Series:
    cells = [None if _missing(value) else value for value in values]
    try:
        return pl.Series(cells, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return pl.Series(cells, dtype=pl.Object)


def _missing(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in ("NAType", "NaTType")  # without importing pandas
    )


def _refuse_objects(column: pl.Series, where: str) -> None:
    for row, value in enumerate(column.to_list(), start=1):
        if value is not None and not isinstance(value, str):
            raise DataError(
                f"{where}, row {row}: column {column.name} holds {value!r:.60} ({type(value).__name__});"
                " it must hold text"
            )
