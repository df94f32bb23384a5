"""`trialtune classifiers`: the shipped classifiers."""

from typing import Any

import typer
from rich.table import Table

from trialtune.cli.app import AsJson, app, emit, example
from trialtune.cli.tasks import stdout


@app.command(epilog=example("trialtune classifiers", "trialtune predict stop-reasons 'Slow accrual'"))
def classifiers(as_json: AsJson = False) -> None:
    """List the classifiers shipped with trialtune: training data, date, scores."""
    from trialtune.classifier.shipped import list_shipped, models_version
    from trialtune.errors import DataError

    found = list_shipped()
    if not found:
        raise DataError("this installation has no shipped classifiers; reinstall: pip install trialtune")
    listed = [
        {"name": one.name, "version": models_version(), "megabytes": round(one.megabytes, 1), **one.about}
        for one in found
    ]

    def show(_: Any) -> None:
        table = Table("name", "labels", "MB", "trained", "on", "scores on held-out texts")
        for one in listed:
            scores = one["scores"]
            table.add_row(
                one["name"],
                str(one["labels"]),
                str(one["megabytes"]),
                one["trained"],
                one["training_data"],
                f"micro-F1 {scores['micro_f1']:.3f}, macro-F1 {scores['macro_f1']:.3f} ({scores['texts']:,}"
                f" rows, {scores['data']})",
            )
        stdout().print(table)
        typer.echo(f"trialtune-models {models_version()}; cards: {found[0].folder.parent}")

    emit(listed, as_json, show)
