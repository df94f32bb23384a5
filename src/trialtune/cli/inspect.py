"""`trialtune registry info`, `show` and `sql`: inspecting a snapshot."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, emit, example
from trialtune.cli.registry import registry

_Snapshot = Annotated[
    Path, typer.Option("--snapshot", help="A snapshot, or the folder of a sync.", show_default=False)
]


@registry.command(epilog=example("trialtune registry info snapshot.parquet"))
def info(
    snapshot: Annotated[Path, typer.Argument(help="A snapshot, or the folder of a sync.")],
    as_json: AsJson = False,
) -> None:
    """Summarize a snapshot: counts, coverage of fields, lengths of texts."""
    from rich.console import Console

    from trialtune.registry.describe import describe_snapshot
    from trialtune.reports.snapshot import description_to_rich

    described = describe_snapshot(snapshot).as_dict()
    emit(described, as_json, lambda found: Console(highlight=False).print(description_to_rich(found)))


@registry.command(epilog=example("trialtune registry show NCT01234567 --snapshot snapshot.parquet"))
def show(
    nct_id: Annotated[str, typer.Argument(help="The NCT id of the trial.")],
    snapshot: _Snapshot,
    as_json: AsJson = False,
) -> None:
    """Show one trial of a snapshot."""
    from rich.console import Console

    from trialtune.registry.lookup import find_trial
    from trialtune.reports.snapshot import trial_to_rich

    trial = find_trial(snapshot, nct_id)
    emit(trial, as_json, lambda found: Console(highlight=False).print(trial_to_rich(found)))


@registry.command(
    epilog=example(
        'trialtune registry sql "select sex, count(*) from trials group by sex" --snapshot snapshot.parquet'
    )
)
def sql(
    query: Annotated[str, typer.Argument(help="One select statement on the view trials, in DuckDB's SQL.")],
    snapshot: _Snapshot,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write all rows to a .parquet, .csv, .tsv or .jsonl file.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Number of rows printed; 0 for all.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Query a snapshot in SQL, read-only."""
    from rich.console import Console

    from trialtune.console import tell
    from trialtune.registry.query import export_sql, run_sql
    from trialtune.reports.snapshot import rows_to_rich

    if out is not None:
        result = {"rows": export_sql(snapshot, query, out), "out": str(out)}
        emit(result, as_json, lambda done: typer.echo(f"{done['rows']:,} rows written to {done['out']}"))
        return
    answer = run_sql(snapshot, query, limit=limit)

    def print_rows(_: dict[str, Any]) -> None:
        Console(highlight=False).print(rows_to_rich(answer.columns, answer.rows))
        if answer.more:
            tell(f"the first {limit} rows; --limit 0 prints all, --out writes them to a file")

    emit(answer.as_dict(), as_json, print_rows)
