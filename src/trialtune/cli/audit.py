"""`trialtune audit ...`: contradictions between the registry's fields and its free text."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, Out, app, emit, example

audit = typer.Typer(help="Find trials whose free text contradicts the registry.", no_args_is_help=True)
app.add_typer(audit, name="audit")


@audit.callback()
def _group() -> None:
    """Makes `sex` a subcommand although it is the only one."""


@audit.command(epilog=example("trialtune audit sex snapshot.parquet --classifier clf/ --out audit/"))
def sex(
    snapshot: Annotated[Path, typer.Argument(help="A snapshot.")],
    classifier: Annotated[
        str,
        typer.Option("--classifier", help="A classifier for sex: a folder, or a Hub id.", show_default=False),
    ],
    out: Out,
    min_probability: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Minimum probability of the model for a trial to be listed."),
    ] = 0.9,
    include_seen: Annotated[
        bool, typer.Option(help="Also audit trials of the training rows, which the model may have memorized.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Only count the trials to audit.")] = False,
    as_json: AsJson = False,
) -> None:
    """List trials whose text contradicts the sex field, with the relevant sentence."""
    from rich.console import Console

    from trialtune.classifier.classifier import Classifier
    from trialtune.console import bar
    from trialtune.dataset.tables import read_table
    from trialtune.files import atomic_folder, check_replaceable
    from trialtune.reports.audit import audit_to_rich, divided, write_audit_page
    from trialtune.stages.audit import audit_sex, find_statements, scope

    check_replaceable(out)
    opened = Classifier.from_pretrained(classifier)
    chosen = scope(read_table(snapshot), opened, include_seen=include_seen)
    result: dict[str, Any] = {"trials": chosen.counts, "min_probability": min_probability}
    if dry_run:
        emit(result, as_json, lambda found: typer.echo(f"would audit {found['trials']['to_score']:,} trials"))
        return
    with bar("reading sentences", len(chosen.rows)) as progress:
        statements = find_statements(chosen.rows, progress=progress)
    with bar("scoring texts") as progress:
        findings = audit_sex(statements, opened, min_probability=min_probability, progress=progress)
    with atomic_folder(out) as folder:
        findings.write_parquet(folder / "audit.parquet")
        write_audit_page(
            findings,
            chosen.counts,
            folder / "audit.html",
            classifier=opened.folder.name,
            min_probability=min_probability,
        )
    contradictions, empty = divided(findings)
    result |= {"contradictions": len(contradictions), "field_empty": len(empty), "out": str(out)}

    def show(found: dict[str, Any]) -> None:
        Console(highlight=False).print(audit_to_rich(findings, found["trials"]))
        typer.echo(f"written to {out}/audit.parquet and {out}/audit.html")

    emit(result, as_json, show)
