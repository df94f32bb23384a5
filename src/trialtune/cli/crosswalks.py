"""`trialtune crosswalks`: mappings of labels to other schemes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from trialtune.cli.app import AsJson, app, emit, example
from trialtune.cli.tasks import stdout

if TYPE_CHECKING:
    from trialtune.tasks.crosswalk import Crosswalk


@app.command(epilog=example("trialtune crosswalks", "trialtune crosswalks open_targets"))
def crosswalks(
    name: Annotated[
        str | None, typer.Argument(help="The name of one, or your own .yaml file; default all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the crosswalks from labels to other schemes; for one, every line with its source."""
    from trialtune.tasks.crosswalk import load_crosswalk, shipped_crosswalks

    if name:
        emit(load_crosswalk(name), as_json, _show)
        return
    found = {
        one.name: {
            **one.model_dump(mode="json", include={"version", "task", "description", "source"}),
            "classes": list(one.classes),
            "columns": list(one.columns),
        }
        for one in shipped_crosswalks().values()
    }
    emit(found, as_json, _list)


def _list(found: dict[str, dict[str, Any]]) -> None:
    table = Table("name", "version", "task", "classes")
    for name, one in found.items():
        table.add_row(name, one["version"], one["task"], ", ".join(one["classes"]))
    stdout().print(table)


def _show(crosswalk: "Crosswalk") -> None:
    out = stdout()
    out.print(Text(f"{crosswalk.name}, version {crosswalk.version}, of the task {crosswalk.task}"))
    out.print(Text(f"{crosswalk.description}\n{crosswalk.source}"))
    classes = Table("class", "meaning")
    for name, meaning in crosswalk.classes.items():
        classes.add_row(Text(name), Text(meaning))
    lines = Table("label", "class", "source")
    for label, line in crosswalk.labels.items():
        lines.add_row(Text(label), Text(line.target), Text(line.source))
    out.print(classes, lines)
    if factor := crosswalk.factor:
        out.print(Text(f"{factor.name}: {factor.value:g} with {' or '.join(factor.labels)}, else 1"))
        out.print(Text(factor.source))
