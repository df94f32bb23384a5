"""Tables from Python: Polars, pandas or Arrow in, Polars out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from trialtune.errors import DataError, UsageError


def as_polars(frame: Any) -> pl.DataFrame:
    """A table as a Polars frame; what Polars has no type for becomes a column of objects.

    pandas' missing values (None, NaN, NA) become nulls. Raises UsageError for anything that is no table.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    module = type(frame).__module__.partition(".")[0]
    # Column by column, and not by Arrow: it refuses a frame for one mixed column, which may not even be read.
    if module == "pandas" and hasattr(frame, "columns"):
        return pl.DataFrame({str(name): _series(frame[name].astype(object)) for name in frame.columns})
    if module == "pyarrow" and hasattr(frame, "schema"):
        return pl.DataFrame(pl.from_arrow(frame))
    if isinstance(frame, Mapping):
        return pl.DataFrame({str(name): _series(values) for name, values in frame.items()})
    raise UsageError(
        f"a table is wanted, not {type(frame).__name__}; give a Polars or pandas frame, or a mapping of its"
        " columns"
    )


def need_text(table: pl.DataFrame, columns: Sequence[str], where: str) -> None:
    """Raise DataError when one of the columns is there and holds something other than text."""
    for column in columns:
        kind = table.schema.get(column, pl.String())
        if kind == pl.Object:
            _refuse_objects(table[column], where)
        if kind not in (pl.String, pl.Null, pl.List(pl.String), pl.List(pl.Null)):
            raise DataError(f"{where}: column {column} holds {kind}; it must hold text")


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
        or type(value).__name__ in ("NAType", "NaTType")  # pandas need not be there to be asked
    )


def _refuse_objects(column: pl.Series, where: str) -> None:
    for row, value in enumerate(column.to_list(), start=1):
        if value is not None and not isinstance(value, str):
            raise DataError(
                f"{where}, row {row}: column {column.name} holds {value!r:.60} ({type(value).__name__});"
                " it must hold text"
            )
