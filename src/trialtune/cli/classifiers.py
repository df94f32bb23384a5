"""`trialtune classifiers`: the shipped classifiers."""

from typing import Annotated, Any

import typer
from rich.table import Table

from trialtune.cli.app import AsJson, app, emit, example
from trialtune.cli.tasks import stdout


@app.command(epilog=example("trialtune classifiers", "trialtune classifiers stop-reasons"))
def classifiers(
    name: Annotated[
        str | None, typer.Argument(help="Show the labels and scores of this one.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the classifiers shipped with trialtune: training data, date, scores; of one also its labels."""
    from trialtune.classifier.shipped import list_shipped, models_version
    from trialtune.errors import DataError, UsageError

    found = list_shipped()
    if not found:
        raise DataError("this installation has no shipped classifiers; reinstall: pip install trialtune")
    listed = [
        {"name": one.name, "version": models_version(), "megabytes": round(one.megabytes, 1), **one.about}
        for one in found
    ]
    if name is not None:
        one = next((one for one in listed if one["name"] == name), None)
        if one is None:
            names = ", ".join(each["name"] for each in listed)
            raise UsageError(f"{name}: no shipped classifier; choose from {names}")
        _emit_one(one, as_json)
        return

    def show(_: Any) -> None:
        table = Table("name", "labels", "MB", "trained", "on", "scores on held-out texts")
        for one in listed:
            table.add_row(
                one["name"],
                str(one["labels"]),
                str(one["megabytes"]),
                one["trained"],
                one["training_data"],
                _scores(one),
            )
        stdout().print(table)
        typer.echo(f"trialtune-models {models_version()}; cards: {found[0].folder.parent}")

    emit(listed, as_json, show)


def _emit_one(about: dict[str, Any], as_json: bool) -> None:
    """Print a classifier's labels, with their definitions, and its scores."""
    from trialtune.tasks.catalog import load_task

    task = load_task(about["task"])

    def show(_: Any) -> None:
        several = "several may hold" if task.kind == "multi_label" else "one holds"
        table = Table("label", "definition", title=f"{about['name']}: {len(task.labels)} labels, {several}")
        for label, definition in task.labels.items():
            table.add_row(label, definition)
        stdout().print(table)
        typer.echo(f"trained {about['trained']} on {about['training_data']}; {about['megabytes']} MB")
        typer.echo(_scores(about))

    emit({**about, "kind": task.kind, "definitions": dict(task.labels)}, as_json, show)


def _scores(about: dict[str, Any]) -> str:
    """A classifier's scores, and on what."""
    scores = about["scores"]
    return (
        f"micro-F1 {scores['micro_f1']:.3f}, macro-F1 {scores['macro_f1']:.3f}"
        f" ({scores['texts']:,} rows, {scores['data']})"
    )
