"""Arguments and data files shared by the commands on tasks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from trialtune.tasks.task import Task

TaskName = Annotated[
    str, typer.Argument(help="stop-reasons, sex, or the .yaml file of your own task.", show_default=False)
]
ClassifierName = Annotated[
    str,
    typer.Argument(
        help="stop-reasons, sex, a classifier folder, or OWNER/NAME on the Hub.", show_default=False
    ),
]
Crosswalks = Annotated[
    list[str] | None,
    typer.Option(
        "--crosswalk",
        help="Add the classes of another scheme: a name from `trialtune crosswalks`, or your own"
        " .yaml file; may be repeated.",
        show_default=False,
    ),
]
WithEvidence = Annotated[bool, typer.Option("--evidence", help="Also find the words behind each label.")]
_DATA_HELP = "A snapshot, or a .parquet/.csv/.jsonl/.json table with text and labels; also hf://datasets/OWNER/NAME/FILE."
Data = Annotated[Path, typer.Option("--data", help=_DATA_HELP, show_default=False)]
TaskData = Annotated[
    Path | None,
    typer.Option("--data", help=f"{_DATA_HELP} A task's .yaml file may name one.", show_default=False),
]
Labels = Annotated[
    Path | None,
    typer.Option(help="A table of nct_id and labels for the snapshot's trials, instead of the shipped ones."),
]


def data_of(task: "Task", data: Path | None) -> Path:
    """The data file to read: the one given, or else the one in the task's declaration."""
    from trialtune.errors import UsageError

    named = task.spec.data if task.spec else None
    if data is None and named is None:
        raise UsageError(f"{task.name}: no data; give --data FILE")
    return data or Path(str(named))


def stdout() -> Console:
    """A console for results."""
    return Console(highlight=False)
