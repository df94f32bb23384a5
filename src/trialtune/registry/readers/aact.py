"""Trials of AACT's flat files: pipe-delimited tables of the registry, joined by NCT id.

AACT (https://aact.ctti-clinicaltrials.org/downloads) gives some 50 tables as a zip; these nine hold what a
snapshot needs. Each is read as a stream, sorted by NCT id on disk (DuckDB), and all are walked side by side,
so that memory stays bounded whatever their size. Temporary files, smaller than the tables, lie in the
system's folder for such (TMPDIR).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from trialtune.errors import DataError
from trialtune.registry.readers.chunk import Chunk, ready
from trialtune.registry.readers.parquet import open_parquet
from trialtune.registry.readers.pipe_delimited import TableReader
from trialtune.registry.readers.tables import columns_as_lists
from trialtune.registry.record.parse import record_from_study
from trialtune.registry.record.row import Row, bad_row, record_row

#: How to open each table.
Tables = Mapping[str, Callable[[], IO[bytes]]]

_COLUMNS = {
    "studies": (
        *("brief_title", "official_title", "overall_status", "why_stopped", "study_type", "phase"),
        *("start_month_year", "start_date", "last_update_posted_date"),
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
_ONE_A_TRIAL = ("brief_summaries", "detailed_descriptions", "eligibilities")
# Of two columns with the same date, older files have but the second.
_OPTIONAL = ("start_month_year",)

_BATCH_ROWS = 1_000
# Several threads sort little sooner and hold so much each that long texts do not fit.
_SORT = {"memory_limit": "500MB", "threads": 1}

Cells = dict[str, Any]


def aact_tables(names: Iterable[str], where: str, *, required: bool) -> dict[str, str]:
    """Which of the file names holds each table; empty when these are not AACT's files.

    Raises DataError when there are tables but no `studies` (if they are all there is: `required`), or two.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() == ".txt" and path.stem.lower() in _COLUMNS:
            found.setdefault(path.stem.lower(), []).append(name)
    if "studies" not in found:
        if found and required:
            told = ", ".join(f"{table}.txt" for table in found)
            raise DataError(f"{where}: AACT's table studies.txt is missing beside {told}; put it there")
        return {}
    if len(found["studies"]) > 1:
        raise DataError(f"{where}: {' and '.join(found['studies'])} are two tables of AACT; keep one")
    folder = PurePosixPath(found["studies"][0]).parent
    return {
        table: name
        for table, places in found.items()
        for name in places
        if PurePosixPath(name).parent == folder
    }


def aact_chunks(tables: Tables, where: str, prefix: str, *, warn: Callable[[str], None]) -> Iterator[Chunk]:
    """The trials in order of their NCT ids, after the rows of any table that could not be parsed.

    A table that is missing, or a column of one, is told to `warn`; its fields stay empty. Rows of a trial
    that `studies` does not have, and second rows where there should be one, are bad rows.
    Raises DataError when a table has no column nct_id (the wrong delimiter) or cannot be told into rows.
    """
    with TemporaryDirectory(prefix="trialtune-aact-") as scratch:
        streams = {}
        for table, columns in _COLUMNS.items():
            if table not in tables:
                warn(f"{where}: AACT's table {table}.txt is missing; what it holds stays empty")
                continue
            sorted_file = Path(scratch) / f"{table}.parquet"
            with tables[table]() as handle:
                reader = TableReader(handle, f"{where}: {table}.txt", ("id", *columns))
                for name in columns:
                    if name not in reader.names and name not in _OPTIONAL:
                        warn(f"{where}: {table}.txt has no column {name}; it stays empty")
                _sort(reader, sorted_file)
            for number, reason, text in reader.refused:
                yield ready(bad_row(f"{prefix}{table}.txt", number, reason, {"line": text}))
            streams[table] = _Sorted(sorted_file)
        yield from _walk(streams, prefix)


def _sort(reader: TableReader, out: Path) -> None:
    failure = None
    try:
        _copy_in_order(reader, out)
    except duckdb.Error as error:
        failure = str(error)  # and no more: a live DuckDB connection at exit makes noise on stderr
    if reader.error is not None:
        raise reader.error.with_traceback(None)
    if failure is not None:
        raise DataError(
            f"{reader.label}: cannot be sorted in {out.parent} ({failure}); free some space there, or name"
            " another folder by TMPDIR"
        )


def _copy_in_order(reader: TableReader, out: Path) -> None:
    rows = reader.batches  # noqa: F841 - DuckDB finds it by its name
    order = "nct_id, octet_length(id), id, row" if "id" in reader.names else "nct_id, row"
    settings: dict[str, Any] = {**_SORT, "temp_directory": str(out.parent)}
    with duckdb.connect(config=settings) as connection:
        connection.execute(
            f"COPY (SELECT * FROM rows ORDER BY {order}) TO '{out}'"
            " (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 10000)"
        )


class _Sorted:
    """A sorted table, taken from its beginning piece by piece."""

    def __init__(self, path: Path) -> None:
        self._file = open_parquet(path)
        self._batches = self._file.iter_batches(_BATCH_ROWS)
        self._held = next(self._batches, None)

    def next(self) -> pa.Table | None:
        """The next rows; None at the end."""
        held, self._held = self._held, next(self._batches, None)
        return None if held is None else pa.table(held)

    def upto(self, last: pa.Scalar | None) -> pa.Table:
        """The rows of the trials up to this one; all that are left when it is None."""
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


def _walk(streams: dict[str, _Sorted], prefix: str) -> Iterator[Chunk]:
    try:
        studies = streams.pop("studies")
        while (trials := studies.next()) is not None:
            last = trials.column("nct_id")[-1]
            yield _chunk({"studies": trials, **{t: s.upto(last) for t, s in streams.items()}}, prefix)
        yield _chunk({table: stream.upto(None) for table, stream in streams.items()}, prefix)
    finally:
        for stream in (studies, *streams.values()):
            stream.close()


def _chunk(tables: dict[str, pa.Table], prefix: str) -> Chunk:
    content = {table: _packed(rows) for table, rows in tables.items() if rows.num_rows}
    return Chunk(prefix, 1, _rows, content, size=sum(map(len, content.values())))


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _rows(prefix: str, _number: int, content: dict[str, bytes]) -> Iterator[Row]:
    """The trials of a chunk, and then the rows that belong to none."""
    tables = {table: _cells(packed) for table, packed in content.items()}
    studies = tables.pop("studies", [])
    children = {table: _by_trial(rows) for table, rows in tables.items()}
    for cells in studies:
        own = {table: trials.get(cells["nct_id"], []) for table, trials in children.items()}
        yield record_row(f"{prefix}studies.txt", cells["row"], record_from_study(_study(cells, own)))
    known = {cells["nct_id"] for cells in studies}
    for table, trials in children.items():
        for nct_id, rows in trials.items():
            file = f"{prefix}{table}.txt"
            if nct_id not in known:
                for cells in rows:
                    yield bad_row(file, cells["row"], "trial not in studies.txt", _shown(cells))
            elif table in _ONE_A_TRIAL:
                for cells in rows[1:]:
                    reason = f"second row of a trial: row {rows[0]['row']} is the first"
                    yield bad_row(file, cells["row"], reason, _shown(cells))


def _cells(packed: bytes) -> list[Cells]:
    (batch,) = pa.ipc.open_stream(packed).read_all().combine_chunks().to_batches()
    texts = [c.view(pa.string()) if pa.types.is_binary(c.type) else c for c in batch.columns]
    lists = columns_as_lists(pa.RecordBatch.from_arrays(texts, batch.schema.names))
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _by_trial(rows: list[Cells]) -> dict[str, list[Cells]]:
    trials: dict[str, list[Cells]] = {}
    for cells in rows:
        trials.setdefault(cells["nct_id"], []).append(cells)
    return trials


def _shown(cells: Cells) -> Cells:
    return {name: value for name, value in cells.items() if name != "row"}


def _study(cells: Cells, own: dict[str, list[Cells]]) -> dict[str, Any]:
    """The trial in the shape of the API v2, so that it is cleaned as any other."""
    summary, description, eligibility = (next(iter(own.get(table, [])), {}) for table in _ONE_A_TRIAL)
    outcomes: dict[str, list[Cells]] = {}
    for outcome in own.get("design_outcomes", []):
        outcomes.setdefault(str(outcome.get("outcome_type")).strip().lower(), []).append(outcome)
    interventions = own.get("interventions", [])
    groups = own.get("design_groups", [])
    protocol = {
        "identificationModule": {
            "nctId": cells["nct_id"],
            "briefTitle": cells.get("brief_title"),
            "officialTitle": cells.get("official_title"),
        },
        "statusModule": {
            "overallStatus": cells.get("overall_status"),
            "whyStopped": cells.get("why_stopped"),
            # AACT's start_date makes the last day of a month out of a month.
            "startDateStruct": {"date": cells.get("start_month_year") or cells.get("start_date")},
            "lastUpdatePostDateStruct": {"date": cells.get("last_update_posted_date")},
        },
        "descriptionModule": {
            "briefSummary": summary.get("description"),
            "detailedDescription": description.get("description"),
        },
        "conditionsModule": {
            table: [row.get("name") for row in own.get(table, [])] for table in ("conditions", "keywords")
        },
        "designModule": {"studyType": cells.get("study_type"), "phases": cells.get("phase")},
        "armsInterventionsModule": {
            "interventions": [
                {"type": row.get("intervention_type"), "name": row.get("name")} for row in interventions
            ],
            "armGroups": [
                {"label": row.get("title"), "description": row.get("description")} for row in groups
            ],
        },
        "outcomesModule": {
            "primaryOutcomes": outcomes.get("primary"),
            "secondaryOutcomes": outcomes.get("secondary"),
        },
        "eligibilityModule": {
            "eligibilityCriteria": eligibility.get("criteria"),
            "sex": eligibility.get("gender"),
            "minimumAge": eligibility.get("minimum_age"),
            "maximumAge": eligibility.get("maximum_age"),
        },
    }
    return {"protocolSection": protocol}
