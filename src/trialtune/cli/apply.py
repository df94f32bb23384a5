"""`trialtune apply`: labels for every trial of a snapshot."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, Out, app, emit, example
from trialtune.cli.options import settings_options
from trialtune.cli.tasks import ClassifierName, Crosswalks, WithEvidence
from trialtune.labelling.publication import Publication


@app.command(epilog=example("trialtune apply stop-reasons snapshot.parquet --out labelled/stop-reasons"))
@settings_options
def apply(
    classifier: ClassifierName,
    snapshot: Annotated[Path, typer.Argument(help="A snapshot, or the folder of a sync.")],
    out: Out,
    publication: Publication,
    since: Annotated[
        Path | None,
        typer.Option(help="An earlier output whose scores are reused; default the one at --out."),
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: one actor per node of a cluster.")] = "local",
    shard_rows: Annotated[
        int, typer.Option(min=1, help="Texts per shard; a stopped run resumes at the next shard.")
    ] = 8192,
    crosswalk: Crosswalks = None,
    evidence: WithEvidence = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the trials and texts to label.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Label every trial of a snapshot; later runs score only new or changed texts."""
    from rich.console import Console

    from trialtune.console import bar, tell
    from trialtune.reports.labels import labels_to_rich
    from trialtune.stages.apply import LabelSettings, label_registry

    settings = LabelSettings(
        engine=engine,
        shard_rows=shard_rows,
        since=since,
        crosswalks=crosswalk or (),
        evidence=evidence,
        publication=publication,
    )
    summary = label_registry(
        classifier, snapshot, out, settings=settings, dry_run=dry_run, tell=tell, bar=bar
    )

    def show(_: dict[str, Any]) -> None:
        Console(highlight=False).print(labels_to_rich(summary))
        if not dry_run:
            typer.echo(f"written to {out}; as a page: {out / 'summary.html'}")

    emit(summary.model_dump(mode="json"), as_json, show)
