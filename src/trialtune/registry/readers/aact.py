"""Trials of AACT's flat files: tables of the registry, joined by NCT id.

AACT (https://aact.ctti-clinicaltrials.org/downloads) gives some 50 tables as a zip of pipe-delimited text;
nine hold the texts and five more the grouping fields. Copies as CSV, TSV and Parquet are read too.
Each is read as a stream, sorted by NCT id on disk (DuckDB), and all are merged in parallel, so that memory
stays bounded whatever their size. Temporary files, smaller than the tables, are written to the system's
temporary folder (TMPDIR).
"""

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from trialtune.errors import DataError
from trialtune.registry.readers.aact_study import ONE_A_TRIAL, study_of_tables
from trialtune.registry.readers.arrow_stream import table_bytes
from trialtune.registry.readers.chunk import Chunk, ready
from trialtune.registry.readers.parquet import open_parquet
from trialtune.registry.readers.pipe_delimited import ParquetTable, TableReader
from trialtune.registry.readers.tables import columns_as_lists
from trialtune.registry.readers.text import marked
from trialtune.registry.readers.trial_rows import Cells, TrialRows, as_text
from trialtune.registry.record.findings import Findings
from trialtune.registry.record.notes import Notes
from trialtune.registry.record.parse import record_from_study
from trialtune.registry.record.row import Row, bad_row, record_row
from trialtune.registry.record.tildes import Tildes


@dataclass(frozen=True)
class TableFile:
    """One table: the name of its file, and how to open it."""

    name: str
    open: Callable[[], IO[bytes]]


Tables = Mapping[str, TableFile]

_COLUMNS = {
    "studies": (
        *("brief_title", "official_title", "overall_status", "why_stopped", "study_type", "phase"),
        *("start_date", "last_update_posted_date"),
    ),
    "brief_summaries": ("description",),
    "detailed_descriptions": ("description",),
    "eligibilities": ("criteria", "gender", "minimum_age", "maximum_age"),
    "conditions": ("name",),
    "keywords": ("name",),
    "interventions": ("intervention_type", "name"),
    "design_groups": ("title", "description"),
    "design_outcomes": ("outcome_type", "measure", "description"),
}
# Optional columns: of two columns with the same date, older files have only one.
_MORE_COLUMNS = {
    "studies": (
        *("start_month_year", "last_changed_date", "source", "source_class"),
        *("study_first_posted_date", "enrollment"),
        *("primary_completion_date", "primary_completion_month_year", "completion_date"),
        *("completion_month_year", "enrollment_type", "is_fda_regulated_drug", "is_fda_regulated_device"),
    ),
    "eligibilities": ("healthy_volunteers",),
    "interventions": ("description",),
    "design_outcomes": ("time_frame",),
    "sponsors": ("agency_class", "lead_or_collaborator", "name"),
    "countries": ("name", "removed"),
    "id_information": ("id_source", "id_type", "id_value"),
    "designs": ("primary_purpose", "allocation", "masking"),
    "calculated_values": ("were_results_reported",),
}
_TABLES = (*_COLUMNS, *(table for table in _MORE_COLUMNS if table not in _COLUMNS))
_INSTEAD = {"last_update_posted_date": "last_changed_date", "start_date": "start_month_year"}
_DELIMITERS = {".txt": "|", ".csv": ",", ".tsv": "\t"}
_SUFFIXES = (*_DELIMITERS, ".parquet")

_BATCH_ROWS = 1_000
# More threads hardly speed up sorting, and each needs memory that long texts exceed.
_SORT = {"memory_limit": "500MB", "threads": 1}


def aact_tables(names: Iterable[str], where: str, *, required: bool) -> dict[str, str]:
    """Which of the file names holds each table; empty when these are not AACT's files.

    Raises DataError when there are pipe-delimited tables but no `studies` (if there is nothing else:
    `required`), or two of one kind.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        path = _plain(name)
        if path.suffix in _SUFFIXES and path.stem in _TABLES:
            found.setdefault(path.stem, []).append(name)
    if "studies" not in found:
        delimited = [name for places in found.values() for name in places if _plain(name).suffix == ".txt"]
        if delimited and required:
            tables = ", ".join(PurePosixPath(name).name for name in delimited)
            raise DataError(
                f"{where}: AACT's table studies.txt is missing from the folder of {tables}; add it"
            )
        return {}
    if len(found["studies"]) > 1:
        raise DataError(f"{where}: {' and '.join(found['studies'])} are two tables of AACT; keep one")
    studies = _plain(found["studies"][0])
    # A single table, or any file named studies.csv, is a list of trials.
    if len(found) == 1 and studies.suffix != ".txt":
        return {}
    beside = {
        table: [name for name in places if _plain(name).parent == studies.parent]
        for table, places in found.items()
    }
    for places in beside.values():
        if len(places) > 1:
            raise DataError(f"{where}: {' and '.join(places)} are two tables of AACT; keep one")
    return {table: places[0] for table, places in beside.items() if places}


def _plain(name: str) -> PurePosixPath:
    """The path of a table in lower case, without .gz."""
    return PurePosixPath(name.lower().removesuffix(".gz"))


def aact_chunks(tables: Tables, where: str, prefix: str, *, findings: Findings) -> Iterator[Chunk]:
    """The trials in order of their NCT ids, after the rows of any table that could not be parsed.

    `findings` collects the columns used and not, and a warning for a table or column that is missing; its
    fields stay empty. Rows of a trial that `studies` does not have, and second rows where there should be
    one, are bad rows. Raises DataError when a table has no column nct_id (the wrong delimiter) or cannot
    be split into rows.
    """
    with TemporaryDirectory(prefix="trialtune-aact-") as scratch:
        streams = {}
        suffix = _plain(tables["studies"].name).suffix
        for table in _TABLES:
            if table not in tables:
                if table in _COLUMNS:
                    findings.warn(f"{where}: AACT's table {table}{suffix} is missing; its fields stay empty")
                continue
            sorted_file = Path(scratch) / f"{table}.parquet"
            label = f"{where}: {PurePosixPath(tables[table].name).name}"
            for row in _sorted_table(table, tables[table], label, sorted_file, findings):
                yield ready(replace(row, file=prefix + row.file))
            streams[table] = _Sorted(sorted_file, f"{prefix}{PurePosixPath(tables[table].name).name}")
        yield from _walk(streams)


def _sorted_table(table: str, file: TableFile, label: str, out: Path, findings: Findings) -> Iterator[Row]:
    """Write a table sorted by NCT id; yields the lines that are not rows."""
    needed, more = _COLUMNS.get(table, ()), _MORE_COLUMNS.get(table, ())
    path = PurePosixPath(file.name)
    suffix = _plain(file.name).suffix
    with ExitStack() as stack:
        handle = stack.enter_context(file.open())
        if path.suffix.lower() == ".gz":
            handle = cast(IO[bytes], stack.enter_context(gzip.open(handle)))
        reader: TableReader | ParquetTable
        if suffix == ".parquet":
            reader = ParquetTable(handle, label, ("id", *needed, *more))
        else:
            handle, encoding = marked(handle, label, "utf-8")
            if encoding != "utf-8":
                raise DataError(
                    f"{label}: the file is {encoding.upper()}, AACT's tables are UTF-8; save it so"
                )
            reader = TableReader(handle, label, ("id", *needed, *more), _DELIMITERS[suffix])
        for name in needed:
            if name not in reader.names and _INSTEAD.get(name) not in reader.names:
                findings.warn(f"{label} has no column {name}; it stays empty")
        for name in reader.header:
            if name in (*needed, *more, "nct_id"):
                findings.used[f"{table}.{name}"] = table
            elif name not in ("id", "row"):
                findings.unused[f"{table}.{name}"] = None
        _sort(reader, out)
    for number, reason, text in reader.refused:
        yield bad_row(path.name, number, reason, {"line": text})


def _sort(reader: TableReader | ParquetTable, out: Path) -> None:
    failure = None
    try:
        _copy_in_order(reader, out)
    except duckdb.Error as error:
        failure = str(error)  # only the text: a live DuckDB connection at exit writes to stderr
    if reader.error is not None:
        raise reader.error.with_traceback(None)
    if failure is not None:
        raise DataError(
            f"{reader.label}: cannot be sorted in {out.parent} ({failure}); free some space there, or set"
            " another folder with TMPDIR"
        )


def _copy_in_order(reader: TableReader | ParquetTable, out: Path) -> None:
    rows = reader.batches  # noqa: F841 - DuckDB finds it by its name
    # The long description of an intervention is used only where it has no name.
    rest = (
        " REPLACE (CASE WHEN octet_length(name) > 0 THEN ''::BLOB ELSE description END AS description)"
        if {"intervention_type", "name", "description"} <= set(reader.names)
        else ""
    )
    order = "nct_id, octet_length(id), id, row" if "id" in reader.names else "nct_id, row"
    settings: dict[str, Any] = {**_SORT, "temp_directory": str(out.parent)}
    with duckdb.connect(config=settings) as connection:
        connection.execute(
            f"COPY (SELECT *{rest} FROM rows ORDER BY {order}) TO '{out}'"
            " (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 10000)"
        )


class _Sorted:
    """A sorted table, read from its beginning piece by piece."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name  # of the file it comes from
        self._file = open_parquet(path)
        self._batches = self._file.iter_batches(_BATCH_ROWS)
        self._held = next(self._batches, None)

    def next(self) -> pa.Table | None:
        """The next rows; None at the end."""
        held, self._held = self._held, next(self._batches, None)
        return None if held is None else pa.table(held)

    def upto(self, last: pa.Scalar | None) -> pa.Table:
        """The rows of the trials up to this one; all remaining ones when it is None."""
        taken = []
        while self._held is not None:
            count = self._held.num_rows
            if last is not None:
                count = pc.sum(pc.less_equal(self._held.column("nct_id"), last)).as_py() or 0
            taken.append(self._held.slice(0, count))
            if count < self._held.num_rows:
                self._held = self._held.slice(count)
                break
            self._held = next(self._batches, None)
        return pa.Table.from_batches(taken, self._file.schema_arrow)

    def close(self) -> None:
        self._file.close()


def _walk(streams: dict[str, _Sorted]) -> Iterator[Chunk]:
    names = {table: stream.name for table, stream in streams.items()}
    try:
        studies = streams.pop("studies")
        tildes = None
        while (trials := studies.next()) is not None:
            tildes = tildes or _tildes(trials)
            last = trials.column("nct_id")[-1]
            yield _chunk({"studies": trials, **{t: s.upto(last) for t, s in streams.items()}}, names, tildes)
        rest = {table: stream.upto(None) for table, stream in streams.items()}
        yield _chunk(rest, names, Tildes(escaped=True))
    finally:
        for stream in (studies, *streams.values()):
            stream.close()


def _tildes(studies: pa.Table) -> Tildes:
    """How the files write tildes, judging by their first rows."""
    first: Cells = {}
    for name, cells in columns_as_lists(as_text(studies)).items():
        first[name] = next((cell for cell in cells if cell and cell != "NA"), None)
    return Tildes.of(first)


def _chunk(tables: dict[str, pa.Table], names: dict[str, str], tildes: Tildes) -> Chunk:
    content = {table: table_bytes(rows) for table, rows in tables.items() if rows.num_rows}
    size = sum(map(len, content.values()))
    return Chunk(names["studies"], 1, _rows, _Part(content, names, tildes), size=size)


@dataclass(frozen=True)
class _Part:
    """The rows of some trials in every table, packed; the tables' files; how tildes are written."""

    tables: dict[str, bytes]
    names: dict[str, str]
    tildes: Tildes


def _rows(file: str, _number: int, part: _Part) -> Iterator[Row]:
    """The trials of a chunk, followed by the rows that belong to none."""
    tables = {table: TrialRows(content) for table, content in part.tables.items()}
    studies = list(tables.pop("studies")) if "studies" in tables else []
    for cells in studies:
        notes = Notes()
        record = record_from_study(study_of_tables(cells, tables, part.tildes), notes)
        yield record_row(file, cells["row"], record, notes)
    known = {cells["nct_id"] for cells in studies}
    for table, rows in tables.items():
        name = part.names[table]
        for nct_id, place in rows.places():
            if nct_id not in known:
                reason, refused = f"trial not in {PurePosixPath(file).name}", place
            elif table in ONE_A_TRIAL and len(place) > 1:
                reason = f"second row of a trial: row {rows.row(place[0])['row']} is the first"
                refused = place[1:]
            else:
                continue
            for cells in map(rows.row, refused):
                yield bad_row(name, cells.pop("row"), reason, cells)
