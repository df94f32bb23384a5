"""Reads trials from files: chooses each file's reader, and yields one `Row` per trial."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

from trialtune.errors import DataError, UsageError
from trialtune.files import HashedFile
from trialtune.registry.readers.aact import TableFile, Tables, aact_chunks, aact_tables
from trialtune.registry.readers.chunk import Chunk, ready
from trialtune.registry.readers.hub import dataset_folder, dataset_of
from trialtune.registry.readers.json_studies import document_rows, json_rows, jsonl_blocks, jsonl_chunks
from trialtune.registry.readers.legacy_xml import xml_rows
from trialtune.registry.readers.reading import Reading
from trialtune.registry.readers.tables import csv_rows, parquet_rows
from trialtune.registry.readers.text import is_utf8, marked, text_reader
from trialtune.registry.record.findings import Findings
from trialtune.registry.record.row import Row

__all__ = ["Row", "Source", "open_source", "read_chunks", "read_rows"]

_TEXT_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".xml")
SUPPORTED = (
    "json, jsonl, ndjson, csv, tsv, txt, xml (each also .gz), zip of these or of AACT's tables, parquet,"
    " a folder of such files, or a Hub data set OWNER/NAME"
)
# Up to this size, one of many files is passed on whole, to be parsed by any process.
_SMALL_FILE = 1 << 23


@dataclass(frozen=True)
class Source:
    """Trials at a path: its name, its files in reading order, and any AACT tables."""

    path: Path
    name: str
    files: tuple[Path, ...]
    tables: Tables | None = None
    others: tuple[str, ...] = ()  # files next to AACT's tables, which are ignored


def open_source(path: Path) -> Source:
    """Find the files of a source: a file, a folder, or the data set OWNER/NAME on the Hugging Face Hub.

    Quarantine files and hidden files are skipped. Raises UsageError for a missing path or an
    unsupported file format, DataError for AACT tables without `studies` and when the Hub cannot be reached.
    """
    if not path.exists():
        if (dataset := dataset_of(path)) is None:
            raise UsageError(f"{path}: no such file or folder; check the path")
        folder = dataset_folder(dataset, suffixes=(*_TEXT_SUFFIXES, ".parquet", ".zip", ".gz"))
        return Source(folder, dataset, _supported_files(folder))
    name = path.resolve().name
    if not path.is_dir():
        if tables := aact_tables([path.name], str(path), required=True):
            return Source(
                path, name, (path,), {table: TableFile(path.name, partial(_open, path)) for table in tables}
            )
        # In a folder, a .txt file may be anything; given by name it is a table, as Excel's "Unicode Text".
        if not _supported(path.name) and not path.name.lower().removesuffix(".gz").endswith(".txt"):
            raise UsageError(f"{path}: unsupported file format; use {SUPPORTED}")
        return Source(path, name, (path,))
    files = _supported_files(path)
    texts = {file.relative_to(path).as_posix(): file for file in sorted({*path.rglob("*.txt"), *files})}
    if tables := aact_tables(texts, str(path), required=not files):
        found = {table: texts[file] for table, file in tables.items()}
        opened = {table: TableFile(tables[table], partial(_open, file)) for table, file in found.items()}
        others = tuple(file.name for file in files if file not in found.values())
        return Source(path, name, tuple(found.values()), opened, others)
    if not files:
        raise UsageError(f"{path}: no supported file in this folder; use {SUPPORTED}")
    return Source(path, name, files)


def read_rows(path: Path, *, encoding: str = "utf-8") -> Iterator[Row]:
    """Yield every trial of a source, good and bad, in order and in bounded memory.

    Rows are numbered from 1: lines of a JSON Lines file, data rows of a table, studies of a JSON file.
    Raises as `open_source` does, and DataError for an unreadable file.
    """
    for chunk in read_chunks(open_source(path), encoding=encoding):
        yield from chunk.rows()


def read_chunks(
    source: Source, *, encoding: str = "utf-8", findings: Findings | None = None
) -> Iterator[Chunk]:
    """`read_rows` in chunks; `findings` collects what a source should have but lacks."""
    findings = Findings() if findings is None else findings
    reading = Reading(encoding, findings, alone=len(source.files) == 1)
    if source.tables is not None:
        _tell_others(source.path, source.others, findings)
        chunks = aact_chunks(source.tables, str(source.path), "", findings=findings)
        yield from _guarded(source.path, chunks, source.name)
        return
    for file in source.files:
        label = file.relative_to(source.path).as_posix() if source.path.is_dir() else file.name
        yield from _guarded(file, _file_chunks(file, label, reading), file.name)


def _tell_others(path: Path, others: Sequence[str], findings: Findings) -> None:
    """Warn of files next to AACT's tables that are ignored."""
    if others:
        more = f" and {len(others) - 5} others" if len(others) > 5 else ""
        findings.warn(f"{path}: ignored next to AACT's tables: {', '.join(others[:5])}{more}")


def _supported_files(folder: Path) -> tuple[Path, ...]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return tuple(sorted(file for file in files if _wanted(file.relative_to(folder))))


def _wanted(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return _supported(path.name) and not hidden and not path.name.endswith(".quarantine.jsonl")


def _supported(name: str) -> bool:
    return _is_text(name) or name.lower().endswith((".zip", ".parquet"))


def _is_text(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(_TEXT_SUFFIXES)


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _file_chunks(path: Path, label: str, reading: Reading) -> Iterator[Chunk]:
    name = path.name.lower()
    if name.endswith(".parquet"):
        yield from map(ready, parquet_rows(path, label, reading))
    elif name.endswith(".zip"):
        yield from _zip_chunks(path, label, reading)
    else:
        with HashedFile(path) as handle:
            yield from _text_chunks(cast(IO[bytes], handle), label, path.stat().st_size, reading)


def _zip_chunks(path: Path, label: str, reading: Reading) -> Iterator[Chunk]:
    with zipfile.ZipFile(path) as archive:
        members = sorted(name for name in archive.namelist() if _wanted_member(name))
        tables = aact_tables(archive.namelist(), str(path), required=not members)
        if tables:
            opened = {table: TableFile(name, partial(archive.open, name)) for table, name in tables.items()}
            _tell_others(path, [name for name in members if name not in tables.values()], reading.findings)
            yield from aact_chunks(opened, str(path), f"{label}/", findings=reading.findings)
            return
        if not members:
            found = ", ".join(archive.namelist()[:5]) or "nothing"
            raise DataError(
                f"{path}: the zip holds no json, jsonl, ndjson, csv, tsv or xml file (it holds {found})"
            )
        inside = replace(reading, alone=len(members) == 1)
        for member in members:
            with archive.open(member) as handle:
                size = archive.getinfo(member).file_size
                yield from _text_chunks(handle, f"{label}/{member}", size, inside)


def _wanted_member(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return _is_text(name) and not any(part.startswith((".", "__MACOSX")) for part in parts)


def _text_chunks(handle: IO[bytes], label: str, size: int, reading: Reading) -> Iterator[Chunk]:
    name = label.lower()
    if name.endswith(".gz"):
        with gzip.open(handle) as unpacked:
            inner = cast(IO[bytes], unpacked)
            yield from _named_chunks(inner, label, name.removesuffix(".gz"), reading)
    elif not reading.alone and name.endswith(".json") and size <= _SMALL_FILE and is_utf8(reading.encoding):
        yield Chunk(label, 1, document_rows, handle.read(), size)
    else:
        yield from _named_chunks(handle, label, name, reading)


def _named_chunks(handle: IO[bytes], label: str, name: str, reading: Reading) -> Iterator[Chunk]:
    if name.endswith(".xml"):
        whole = handle.read()
        yield Chunk(label, 1, xml_rows, whole, len(whole))
        return
    path = handle.path if isinstance(handle, HashedFile) else None
    content, encoding = marked(handle, label, reading.encoding)
    if name.endswith((".jsonl", ".ndjson")) and is_utf8(encoding):
        yield from jsonl_blocks(content, label, path)
        return
    with text_reader(content, label, encoding) as text:
        if name.endswith((".jsonl", ".ndjson")):
            yield from jsonl_chunks(text, label)
        elif name.endswith(".json"):
            yield from map(ready, json_rows(text, label, alone=reading.alone))
        else:
            yield from map(ready, csv_rows(text, label, reading, tabs=name.endswith(".tsv")))


def _guarded(path: Path, chunks: Iterator[Chunk], source: str) -> Iterator[Chunk]:
    """The chunks, named after their source; explains errors in reading bytes."""
    last = "before the first row"
    try:
        for chunk in chunks:
            last = f"after {chunk.file} row {chunk.number}"
            chunk.source = source
            yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: the compressed data is broken or truncated {last} ({error}); download the file again"
        ) from error
    except UnicodeError as error:
        raise DataError(
            f"{path}: cannot be decoded {last} ({error}); set its encoding with --encoding"
        ) from error
    except (OSError, RuntimeError, NotImplementedError) as error:
        # zipfile raises the last two for a password and for an unsupported compression.
        raise DataError(
            f"{path}: cannot be read {last} ({error}); check the file and its permissions"
        ) from error
