"""SQL over a snapshot: DuckDB on the Parquet file, read-only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from trialtune.errors import UsageError
from trialtune.files import atomic_file, writing
from trialtune.registry.snapshot.read import check_snapshot, snapshot_file

_FORMATS = {
    ".parquet": "format parquet, compression zstd",
    ".csv": "format csv, header",
    ".tsv": "format csv, header, delimiter '\t'",
    ".jsonl": "format json",
}
_FLAT = (".csv", ".tsv")  # lists are written as JSON, which `registry import`, R and pandas read
_NESTED = {"list", "array", "struct", "map", "union", "variant"}
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


@dataclass(frozen=True)
class Answer:
    """Rows of a query, in the columns' order; `more`: there are others beyond the limit."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool

    def as_dict(self) -> dict[str, Any]:
        """The result as one object per row."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"columns": list(self.columns), "rows": rows, "more": self.more}


def run_sql(snapshot: Path, sql: str, *, limit: int = 0) -> Answer:
    """The first `limit` rows (0: all) of one query over the view `trials`.

    Raises UsageError with DuckDB's message for a query that is invalid or does more than read the snapshot,
    DataError when the file is not a snapshot.
    """
    with trials_view(snapshot) as connection, _errors_told():
        result = connection.execute(_only_query(connection, sql))
        rows = result.fetchmany(limit + 1) if limit else result.fetchall()
        columns = tuple(column[0] for column in result.description or ())
    shown = rows[:limit] if limit else rows
    return Answer(columns, tuple(map(tuple, shown)), more=len(rows) > len(shown))


def export_sql(snapshot: Path, sql: str, out: Path) -> int:
    """Write all rows of a query to a .parquet, .csv, .tsv or .jsonl file; returns their number.

    Lists, structs and maps are JSON in the cells of .csv and .tsv. Raises UsageError for another kind of
    file, and as `run_sql` does.
    """
    options = _FORMATS.get(out.suffix.lower())
    if options is None or out.is_dir():
        raise UsageError(f"--out {out}: unsupported file format; use {', '.join(_FORMATS)}")
    if out.resolve() == snapshot_file(snapshot).resolve():
        raise UsageError(f"--out {out}: this is the snapshot itself; give another name")
    with (
        writing(out),
        atomic_file(out) as temporary,
        trials_view(snapshot, temporary) as connection,
        _errors_told(),
    ):
        query = _only_query(connection, sql)
        if out.suffix.lower() in _FLAT:
            query = _with_json(connection, query)
        done = connection.execute(f"copy ({query}) to {_quoted(temporary)} ({options})").fetchone()
    return int(done[0]) if done else 0


@contextmanager
def trials_view(snapshot: Path, *writable: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the snapshot as the view `trials`, restricted to it and the named files."""
    check_snapshot(snapshot)  # explains what is wrong with the file
    file = snapshot_file(snapshot)
    allowed = ", ".join(map(_quoted, (file, *writable)))
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute(f"create view trials as select * from read_parquet({_quoted(file)})")
        connection.execute(f"set allowed_paths = [{allowed}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield connection


def _only_query(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    statements: Sequence[duckdb.Statement] = connection.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(f"one query at a time, not {len(statements)}; give one select")
    if statements[0].type not in _READING:
        kind = statements[0].type.name.lower()
        raise UsageError(f"a snapshot is only read: {kind} is not allowed; write a select")
    return statements[0].query.strip().rstrip(";")


def _with_json(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """The query with every nested column as JSON text; columns go by position, as names may repeat."""
    found = connection.sql(query)
    columns = list(zip(found.columns, found.types, strict=True))
    if not any(kind.id in _NESTED for _, kind in columns):
        return query
    places = [f"c{place}" for place in range(len(columns))]
    cells = [
        f"{f'to_json({place})' if kind.id in _NESTED else place} as {_name(name)}"
        for place, (name, kind) in zip(places, columns, strict=True)
    ]
    return f"select {', '.join(cells)} from ({query}) as rows({', '.join(places)})"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise UsageError(f"DuckDB: {error}\n'describe trials' lists the columns") from error


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
