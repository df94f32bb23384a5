"""`trialtune registry ...`: snapshots of the registry and diffs between them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, Out, app, emit, example
from trialtune.cli.options import settings_options
from trialtune.registry.settings import SampleSettings

registry = typer.Typer(help="Build snapshots of the registry and compare them.", no_args_is_help=True)
app.add_typer(registry, name="registry")


@registry.command(
    "import", epilog=example("trialtune registry import studies.jsonl.gz --out snapshot.parquet")
)
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            help="A file, a zip or a folder of: v2 JSON or JSON Lines (whole, flattened or in a list),"
            " CSV, TSV or .txt (of the site, WHO's ICTRP, R, pandas, Excel, a database), Parquet, legacy XML,"
            " AACT's tables (.txt, .csv, .tsv, .parquet); or a Hub data set OWNER/NAME. JSON, text tables"
            " and XML may be .gz."
        ),
    ],
    out: Out,
    encoding: Annotated[str, typer.Option(help="Of text files without a byte-order mark.")] = "utf-8",
    data_timestamp: Annotated[
        str | None, typer.Option(help="Date of the data; default the file's date.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes for a large source; default one per core.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import trials from any supported format into one snapshot, a Parquet file with one row per trial.

    Reports on stderr which columns were used, and which values could not be read or had to be guessed.
    """
    from trialtune.cli.findings import tell_columns, tell_values
    from trialtune.console import bar, console, tell
    from trialtune.registry.snapshot.build import import_trials
    from trialtune.workers import cores

    with bar("importing trials") as progress:
        summary = import_trials(
            source,
            out,
            encoding=encoding,
            data_timestamp=data_timestamp,
            workers=workers or cores(),
            progress=progress,
        )
    for warning in summary.warnings:
        tell(f"warning: {warning}")
    tell_columns(summary.columns_used, summary.columns_not_used)
    tell_values("could not be read", summary.unread)
    tell_values("can be read in two ways", summary.guessed)

    def show(result: dict[str, Any]) -> None:
        console.print(
            f"read {result['read']:,} = kept {result['kept']:,} + quarantined {result['quarantined']:,}"
        )
        for reason, count in result["reasons"].items():
            console.print(f"  {count:,}  {reason}", markup=False)
        if result["quarantine"]:
            console.print(f"quarantined rows: {result['quarantine']}")
        typer.echo(result["out"])

    emit(summary.as_dict(), as_json, show)


@registry.command(epilog=example("trialtune registry diff new.parquet --base old.parquet --out changes/"))
def diff(
    new: Annotated[Path, typer.Argument(help="The newer snapshot, or the folder of a sync.")],
    base: Annotated[
        Path,
        typer.Option(
            help="The older snapshot, NCT ids (.txt, .csv, .jsonl, .parquet), or OWNER/NAME on the Hub."
        ),
    ],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Find the trials that are new, changed or removed compared with a base."""
    from rich.console import Console

    from trialtune.reports.diff import diff_to_rich
    from trialtune.stages.diff import diff as run

    summary = run(new, base, out).as_dict()

    def show(result: dict[str, Any]) -> None:
        Console(highlight=False).print(diff_to_rich(result))
        typer.echo(f"written to {out}; as a page: {out / 'summary.html'}")

    emit(summary, as_json, show)


@registry.command(epilog=example("trialtune registry sample --out sample/ --studies 500"))
@settings_options
def sample(out: Out, settings: SampleSettings, as_json: AsJson = False) -> None:
    """Generate a synthetic sample registry, to try things out without real data."""
    from trialtune.registry.sample import write_sample

    folder = write_sample(out, settings)
    emit(
        {"out": str(folder), "studies": settings.studies, "made_up": True},
        as_json,
        lambda result: typer.echo(result["out"]),
    )
