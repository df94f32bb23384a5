"""`trialtune registry sync`: the whole registry, or a part of it, kept current."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, Out, emit, example
from trialtune.cli.registry import registry

_COUNTS = ("total", "read", "kept", "new", "changed", "unchanged", "removed", "merged", "quarantined")


@registry.command(
    epilog=example(
        "trialtune registry sync --out registry/", "trialtune registry diff registry/ --base old.parquet"
    )
)
def sync(
    out: Out,
    base_url: Annotated[str | None, typer.Option(help="Another server that speaks API v2.")] = None,
    since: Annotated[str | None, typer.Option(help="Only trials updated on this day or later.")] = None,
    query: Annotated[str | None, typer.Option(help="Only trials that match, in the site's syntax.")] = None,
    ids: Annotated[Path | None, typer.Option(help="Only these NCT ids (.txt, .csv, .parquet).")] = None,
    fields: Annotated[
        str | None,
        typer.Option(
            help="The API's field names, by commas; else all that a snapshot holds."
            " NCTId, LastUpdatePostDate and BriefTitle always come."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Requests a second at most; 0 sets no limit.")] = 1.0,
    retries: Annotated[int, typer.Option(min=0, help="How often a request is tried again.")] = 7,
    page_size: Annotated[int, typer.Option(min=1, max=1000, help="Studies a page.")] = 1000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch trials from ClinicalTrials.gov; run again to go on, or to bring them up to date."""
    from trialtune.console import bar, console
    from trialtune.registry.readers.id_list import read_ids
    from trialtune.registry.record.quarantine import Quarantine
    from trialtune.registry.sync.run import SyncSettings, preview
    from trialtune.registry.sync.run import sync as sync_folder
    from trialtune.registry.sync.state import SyncRequest

    listed = read_ids(ids) if ids else None
    given = {
        "base_url": base_url,
        "since": since,
        "query": query,
        "ids": tuple(sorted(listed.ids)) if listed else None,
        "fields": tuple(name.strip() for name in fields.split(",") if name.strip()) if fields else None,
    }
    request = SyncRequest(**{name: value for name, value in given.items() if value is not None})
    settings = SyncSettings(rate=rate, attempts=retries + 1, page_size=page_size)
    bad_ids = {"bad_ids": listed.bad} if listed else {}
    if dry_run:
        planned = {**preview(out, request, settings).as_dict(), **bad_ids}
        emit(planned, as_json, lambda result: _show(result, ("total", "to_fetch", "requests", "seconds")))
        return
    with bar("syncing trials") as progress:
        summary = sync_folder(out, request, settings, progress=progress)
    if listed:
        with Quarantine(out / "ids.quarantine.jsonl") as quarantine:
            for row in listed.refused:
                quarantine.add(row)

    def show(result: dict[str, Any]) -> None:
        _show(result, (*_COUNTS, *bad_ids))
        for reason, count in result["reasons"].items():
            console.print(f"  {count:,}  {reason}", markup=False)
        typer.echo(result["out"])

    emit({**summary.as_dict(), **bad_ids}, as_json, show)


def _show(result: dict[str, Any], names: tuple[str, ...]) -> None:
    typer.echo(f"{'data of':>12}  {result['data_timestamp']}")
    for name in names:
        typer.echo(f"{name:>12}  {result[name]:,}")
