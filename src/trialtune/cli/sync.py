"""`trialtune registry sync`: keep the whole registry, or a part of it, up to date."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, Out, emit, example
from trialtune.cli.options import settings_options
from trialtune.cli.registry import registry
from trialtune.registry.settings import SyncRequest, SyncSettings

_COUNTS = ("total", "read", "kept", "new", "changed", "unchanged", "removed", "merged", "quarantined")


@registry.command(
    epilog=example(
        "trialtune registry sync --out registry/",
        "trialtune registry diff registry/ --base old.parquet --out changes/",
    )
)
@settings_options
def sync(
    out: Out,
    request: SyncRequest,
    settings: SyncSettings,
    ids: Annotated[Path | None, typer.Option(help="Only these NCT ids (.txt, .csv, .parquet).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would be fetched.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch trials from ClinicalTrials.gov; run again to resume or update."""
    from trialtune.cli.findings import listed as first_of
    from trialtune.cli.findings import tell_values
    from trialtune.console import bar, console, tell
    from trialtune.registry.readers.id_list import read_ids
    from trialtune.registry.record.quarantine import Quarantine
    from trialtune.registry.sync.run import preview
    from trialtune.registry.sync.run import sync as sync_folder

    listed = read_ids(ids) if ids else None
    if listed:
        request = request.model_copy(update={"ids": tuple(sorted(listed.ids))})
    bad_ids = {"bad_ids": listed.bad} if listed else {}
    counts = (*_COUNTS, "unknown", "bad_ids") if listed else _COUNTS
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
    if summary.unknown:
        tell(f"{summary.unknown:,} ids unknown to the registry: {first_of(summary.unknown_ids)}")
    tell_values("could not be read", summary.unread)

    def show(result: dict[str, Any]) -> None:
        _show(result, counts)
        for reason, count in result["reasons"].items():
            console.print(f"  {count:,}  {reason}", markup=False)
        typer.echo(result["out"])

    emit({**summary.as_dict(), **bad_ids}, as_json, show)


def _show(result: dict[str, Any], names: tuple[str, ...]) -> None:
    typer.echo(f"{'data of':>12}  {result['data_timestamp']}")
    for name in names:
        typer.echo(f"{name:>12}  {result[name]:,}")
