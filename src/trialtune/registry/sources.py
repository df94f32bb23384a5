"""Reading trials from files: which reader a file needs, and one `Row` for each trial it holds."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from trialtune.errors import DataError, UsageError
from trialtune.registry.rows import Row
from trialtune.registry.studies import json_rows, jsonl_rows
from trialtune.registry.tables import csv_rows, parquet_rows
from trialtune.registry.textfiles import text_reader

__all__ = ["Row", "read_rows", "source_files"]

_TEXT_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv")
SUPPORTED = "json, jsonl, ndjson, csv, tsv (each also .gz), zip of these, parquet, or a folder of such files"


def read_rows(path: Path, *, encoding: str = "utf-8") -> Iterator[Row]:
    """Yield every trial of a file or folder, good and bad, in order and in bounded memory.

    Rows are numbered from 1: lines of a JSON Lines file, data rows of a table, studies of a JSON file.
    Raises UsageError for a missing path or an unsupported kind of file, DataError for an unreadable file.
    """
    files = source_files(path)
    for file in files:
        label = file.relative_to(path).as_posix() if path.is_dir() else file.name
        for row in _guarded(file, _file_rows(file, label, encoding, alone=len(files) == 1)):
            if row.record is not None:
                row.record["source"] = row.record["source"] or file.name
            yield row


def source_files(path: Path) -> list[Path]:
    """The supported files at a path, sorted; quarantine files and hidden files are passed over."""
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; check the path")
    if not path.is_dir():
        if not _supported(path.name):
            raise UsageError(f"{path}: this kind of file is not supported; use {SUPPORTED}")
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and _wanted(file.relative_to(path)))
    if not files:
        raise UsageError(f"{path}: no supported file in this folder; use {SUPPORTED}")
    return files


def _wanted(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return _supported(path.name) and not hidden and not path.name.endswith(".quarantine.jsonl")


def _supported(name: str) -> bool:
    return _is_text(name) or name.lower().endswith((".zip", ".parquet"))


def _is_text(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(_TEXT_SUFFIXES)


def _file_rows(path: Path, label: str, encoding: str, *, alone: bool) -> Iterator[Row]:
    name = path.name.lower()
    if name.endswith(".parquet"):
        yield from parquet_rows(path, label)
    elif name.endswith(".zip"):
        yield from _zip_rows(path, label, encoding)
    else:
        with path.open("rb") as handle:
            yield from _text_rows(handle, label, encoding, alone=alone)


def _zip_rows(path: Path, label: str, encoding: str) -> Iterator[Row]:
    with zipfile.ZipFile(path) as archive:
        members = sorted(name for name in archive.namelist() if _wanted_member(name))
        if not members:
            found = ", ".join(archive.namelist()[:5]) or "nothing"
            raise DataError(
                f"{path}: the zip holds no json, jsonl, ndjson, csv or tsv file (it holds {found})"
            )
        for member in members:
            with archive.open(member) as handle:
                yield from _text_rows(handle, f"{label}/{member}", encoding, alone=len(members) == 1)


def _wanted_member(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return _is_text(name) and not any(part.startswith((".", "__MACOSX")) for part in parts)


def _text_rows(handle: IO[bytes], label: str, encoding: str, *, alone: bool) -> Iterator[Row]:
    name = label.lower()
    if name.endswith(".gz"):
        with gzip.open(handle) as unpacked:
            inner = cast(IO[bytes], unpacked)
            yield from _named_rows(inner, label, name.removesuffix(".gz"), encoding, alone=alone)
    else:
        yield from _named_rows(handle, label, name, encoding, alone=alone)


def _named_rows(handle: IO[bytes], label: str, name: str, encoding: str, *, alone: bool) -> Iterator[Row]:
    with text_reader(handle, label, encoding) as text:
        if name.endswith((".jsonl", ".ndjson")):
            yield from jsonl_rows(text, label)
        elif name.endswith(".json"):
            yield from json_rows(text, label, alone=alone)
        else:
            yield from csv_rows(text, label, tabs=name.endswith(".tsv"))


def _guarded(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, with what can go wrong in reading bytes said in words."""
    last = "before the first row"
    try:
        for row in rows:
            last = f"after {row.file} row {row.number}"
            yield row
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: the compressed data is broken or cut short {last} ({error}); get the file again"
        ) from error
    except UnicodeError as error:
        raise DataError(
            f"{path}: cannot be decoded {last} ({error}); name its encoding with --encoding"
        ) from error
    except (OSError, RuntimeError, NotImplementedError) as error:
        # zipfile raises the last two for a password and for a compression it does not know.
        raise DataError(
            f"{path}: cannot be read {last} ({error}); check the file and its permissions"
        ) from error
