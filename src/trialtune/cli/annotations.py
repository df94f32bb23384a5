"""`trialtune annotations import`, `export`, and `trialtune agreement`: annotators' answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trialtune.cli.app import AsJson, Out, app, emit, example
from trialtune.cli.tasks import TaskName, stdout

if TYPE_CHECKING:
    from trialtune.annotation.agreement import Agreement

annotations = typer.Typer(help="Import and export answers of other annotation tools.", no_args_is_help=True)
app.add_typer(annotations, name="annotations")

Task = Annotated[
    str,
    typer.Option("--task", help="stop-reasons, sex, or the .yaml file of your own task.", show_default=False),
]


@annotations.command(
    "import", epilog=example("trialtune annotations import project.json --task own.yaml --out labels.csv")
)
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="A file of Label Studio, Argilla or doccano, or a table.", show_default=False),
    ],
    task: Task,
    out: Annotated[Path, typer.Option("--out", help="The labels file to append to.", show_default=False)],
    annotator: Annotated[
        str | None, typer.Option(help="Name of the annotator, if the file has none.")
    ] = None,
    label_field: Annotated[
        str | None, typer.Option(help="The column or question of the labels, if it is not detected.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Append the answers of another tool's file, or of another labels file, to a labels file."""
    from trialtune.annotation.formats.files import read_import
    from trialtune.annotation.labels_file import LabelsFile
    from trialtune.console import tell
    from trialtune.tasks.catalog import load_task

    chosen = load_task(task)
    program, answers, read = read_import(chosen, file, annotator=annotator, label_field=label_field)
    passed = dict.fromkeys(name for answer in answers for name in answer.passed)
    opened = LabelsFile(out, chosen, passed=tuple(passed), tell=tell)
    try:
        there = {_identity(answer) for answer in opened.answers}
        new = [answer for answer in answers if _identity(answer) not in there]
        opened.append(new)
    finally:
        opened.close()
    for remark in read.remarks:
        tell(f"{file}: {remark}")
    report = {
        "program": program,
        "appended": len(new),
        "already_there": len(answers) - len(new),
        "left_out": {why: count for why, count in read.left_out.items() if count},
        "out": str(out),
    }

    def show(found: dict[str, Any]) -> None:
        left = "".join(f"; {count:,} {why}" for why, count in found["left_out"].items())
        again = f"; {found['already_there']:,} were already there" if found["already_there"] else ""
        typer.echo(f"{found['appended']:,} answers of {program} appended to {out}{again}{left}")

    emit(report, as_json, show)


def _identity(answer: Any) -> tuple[Any, ...]:
    return answer.key, answer.annotator, answer.status, answer.labels, answer.note, answer.answered_at


@annotations.command(
    epilog=example("trialtune annotations export labels.csv --task own.yaml --to doccano --out labels.jsonl")
)
def export(
    file: Annotated[Path, typer.Argument(help="A labels file.", show_default=False)],
    task: Task,
    to: Annotated[
        str, typer.Option("--to", help="label-studio, argilla, doccano or csv.", show_default=False)
    ],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Write a labels file in another tool's format."""
    from typing import get_args

    from trialtune.annotation.formats.files import Program, write_export
    from trialtune.annotation.labels_file import read_labels_file
    from trialtune.errors import UsageError
    from trialtune.settings import nearest
    from trialtune.tasks.catalog import load_task

    if to not in get_args(Program):
        raise UsageError(f"--to {to}: no such program{nearest(to, get_args(Program))}")
    chosen = load_task(task)
    report = write_export(chosen, read_labels_file(chosen, file), out, to)  # type: ignore[arg-type]

    def show(found: dict[str, Any]) -> None:
        interface = f", the labelling interface to {found['config']}" if "config" in found else ""
        typer.echo(f"{found['texts']:,} texts written to {out}{interface}")
        for why, count in found.get("passed_over", {}).items():
            typer.echo(f"{count:,} answers not used: {why}")
        if found.get("left_out"):
            typer.echo(
                f"{found['left_out']:,} answers left out: annotators disagree, or the text was changed"
            )

    emit(report, as_json, show)


@app.command(epilog=example("trialtune agreement own.yaml ada.csv grace.csv"))
def agreement(
    task: TaskName,
    files: Annotated[list[Path], typer.Argument(help="Labels files.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Measure inter-annotator agreement beyond chance, label by label."""
    from trialtune.annotation.agreement import agreement as measure
    from trialtune.annotation.labels_file import read_labels_file
    from trialtune.tasks.catalog import load_task

    chosen = load_task(task)
    answers = [answer for file in files for answer in read_labels_file(chosen, file)]
    emit(measure(answers, [*chosen.labels], kind=chosen.kind), as_json, _show)


def _show(found: "Agreement") -> None:
    if not found.texts:
        typer.echo("no text was labelled by two annotators")
        return
    typer.echo(
        f"{found.texts:,} texts labelled by two or more: {found.disagreements:,} disagreements,"
        f" {found.adjudicated:,} adjudicated; alpha {_number(found.alpha)}"
    )
    for pair in found.pairs:
        both = " and ".join(pair.annotators)
        typer.echo(f"{both}: {pair.same:,} of {pair.texts:,} exactly alike, kappa {_number(pair.kappa)}")
    names = [*found.labels[0].given]
    table = Table("label", "kappa", "alpha", *names)
    for one in found.labels:
        given = (f"{one.given[name]:,}" for name in names)
        table.add_row(one.label, _number(one.kappa), _number(one.alpha), *given)
    stdout().print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
