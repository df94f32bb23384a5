"""Reads and writes tables in the usual formats."""

import codecs
import gzip
import zlib
from pathlib import Path

import orjson
import polars as pl

from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_file
from trialtune.registry.readers.hub import local_copy
from trialtune.registry.readers.text import encoding_of_mark


def read_table(path: Path | str) -> pl.DataFrame:
    """Read a CSV, TSV, Parquet, JSON Lines or JSON table; raises DataError naming the file.

    Any but Parquet may be compressed (.gz). UTF-16, in which Excel saves "Unicode Text" (.txt), is known by
    its byte-order mark. The table may be on the Hugging Face Hub: hf://datasets/OWNER/NAME/FILE.
    """
    path = local_copy(path)
    name = path.name.lower()
    form = Path(name.removesuffix(".gz")).suffix
    if form not in _READ or name.endswith(".parquet.gz"):
        raise DataError(f"{path}: unknown table format; give {', '.join(_READ)} (each but .parquet also .gz)")
    text = b""
    try:
        if form == ".parquet":
            return pl.read_parquet(path)
        text = _utf8(path)
        if form in (".csv", ".tsv", ".txt"):
            separator = "\t" if form == ".tsv" else _separator(text)
            return pl.read_csv(text, infer_schema=False, separator=separator)
        if form == ".json" and text.lstrip().startswith(b"["):
            return _read_json(text)
        return pl.read_ndjson(text, infer_schema_length=None)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (pl.exceptions.PolarsError, ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(_unreadable(path, text, error)) from error


_READ = (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson", ".json")


def _utf8(path: Path) -> bytes:
    """The content, unpacked, without a byte-order mark: UTF-8, unless the table is not."""
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        content = gzip.decompress(content)
    if encoding := encoding_of_mark(content):
        content = content.decode(encoding).encode()
    return content.removeprefix(codecs.BOM_UTF8)


def _unreadable(path: Path, text: bytes, error: Exception) -> str:
    """Why a table cannot be read: a line in another encoding, or else the reader's reason."""
    try:
        text.decode()
    except UnicodeDecodeError as found:
        line, byte = text.count(b"\n", 0, found.start) + 1, text[found.start]
        return (
            f"{path}, line {line}: byte 0x{byte:02x} is not UTF-8; save the table as UTF-8 (Excel: CSV UTF-8)"
            f" or convert it, for instance: iconv -f cp1252 -t utf-8 {path.name} > utf8-{path.name}"
        )
    return f"{path}: cannot be read ({str(error).splitlines()[0]}); check that it is complete"


def _read_json(text: bytes) -> pl.DataFrame:
    """An array of rows; values that are text in one row and a list in another are read as from JSON Lines."""
    try:
        return pl.read_json(text, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        rows = orjson.loads(text)
        return pl.read_ndjson(b"\n".join(map(orjson.dumps, rows)), infer_schema_length=None)


def _separator(text: bytes) -> str:
    """The separator of a table as text: spreadsheets in many locales write a semicolon, some a tab."""
    header = text.partition(b"\n")[0].decode(errors="replace")
    return "," if "," in header else next((one for one in ";\t|" if one in header), ",")


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


def cell_names(rows: pl.DataFrame) -> list[str]:
    """The columns that `write_table` writes to CSV."""
    return rows.clear().select(map(_cells, rows.iter_columns())).columns


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
