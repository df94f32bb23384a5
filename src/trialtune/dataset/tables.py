"""Reads and writes tables in the usual formats."""

from pathlib import Path

import orjson
import polars as pl

from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_file
from trialtune.registry.readers.hub import local_copy


def read_table(path: Path | str) -> pl.DataFrame:
    """Read a Parquet, CSV, JSON Lines or JSON table; raises DataError naming the file.

    It may be on the Hugging Face Hub: hf://datasets/OWNER/NAME/FILE.
    """
    path = local_copy(path)
    try:
        match path.suffix.lower():
            case ".parquet":
                return pl.read_parquet(path)
            case ".csv":
                return pl.read_csv(path, infer_schema=False, separator=_separator(path))
            case ".json" if path.read_bytes()[:100].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
                return _read_json(path)
            case ".jsonl" | ".ndjson" | ".json":
                return pl.read_ndjson(path, infer_schema_length=None)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (pl.exceptions.PolarsError, orjson.JSONDecodeError, OSError) as error:
        raise DataError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); check that it is complete and UTF-8"
        ) from error
    raise DataError(f"{path}: unknown table format; give .parquet, .csv, .jsonl or .json")


def _read_json(path: Path) -> pl.DataFrame:
    """An array of rows; values that are text in one row and a list in another are read as from JSON Lines."""
    try:
        return pl.read_json(path, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        rows = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        return pl.read_ndjson(b"\n".join(map(orjson.dumps, rows)), infer_schema_length=None)


def _separator(path: Path) -> str:
    """The separator of a CSV file: spreadsheets in many locales write a semicolon, some a tab."""
    with path.open("rb") as file:
        header = file.readline().decode(errors="replace")
    return "," if "," in header else next((one for one in ";\t" if one in header), ",")


def check_table_name(path: Path) -> None:
    """Raise UsageError when the suffix is not that of a table format."""
    if path.suffix.lower() not in (".parquet", ".jsonl", ".ndjson", ".csv"):
        raise UsageError(f"--output {path}: {path.suffix or 'no suffix'}; give .parquet, .jsonl or .csv")


def write_table(rows: pl.DataFrame, path: Path) -> None:
    """Write predictions as .parquet, .jsonl or .csv; raises UsageError for another suffix.

    CSV has lists, such as the labels, joined by `|`, a column `probability_LABEL` for each label's
    probability (`NAME_probability_CLASS` for those of a crosswalk), and evidence as
    `LABEL: words | LABEL: words`.
    """
    check_table_name(path)
    with atomic_file(path) as temporary:
        match path.suffix.lower():
            case ".parquet":
                rows.write_parquet(temporary)
            case ".csv":
                rows.select(map(_cells, rows.iter_columns())).write_csv(temporary)
            case _:
                rows.write_ndjson(temporary)


def _cells(column: pl.Series) -> pl.Expr:
    """A column of predictions as one, or several, of plain cells."""
    named, kind = pl.col(column.name), column.dtype
    if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct):
        one = pl.element().struct
        return named.list.eval(pl.format("{}: {}", one["label"], one["text"])).list.join(" | ")
    if isinstance(kind, pl.List):
        return named.list.join("|")
    if isinstance(kind, pl.Struct):
        prefix = f"{column.name.removesuffix('probabilities')}probability_"
        return named.struct.unnest().name.prefix(prefix)
    return named
