"""The `trialtune` command and its groups."""

import json
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel

from trialtune import __version__

app = typer.Typer(
    name="trialtune",
    help="Adapt a BERT encoder to ClinicalTrials.gov text, prove whether it helped, label the registry.",
    epilog="Add --debug to any command for a traceback when something goes wrong.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Encoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="A folder, a Hub id, embedded:minilm-l6 or embedded:mpnet-base.",
        show_default=False,
    ),
]
_Found = TypeVar("_Found")
Out = Annotated[Path, typer.Option("--out", help="Where the result is written.", show_default=False)]


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    quieten()


def quieten() -> None:
    """Show the libraries' messages only with --debug: new heads and adapters are expected."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # Through the environment, since most commands never import them.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", module=r"(transformers|peft|torch|accelerate)\b")


def emit(result: _Found, as_json: bool, show: Callable[[_Found], None]) -> None:
    """Print a result, plain values or a model: as JSON, or else by `show` for reading."""
    if as_json:
        plain = result.model_dump(mode="json") if isinstance(result, BaseModel) else result
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False, default=str))
    else:
        show(result)


def example(*lines: str) -> str:
    """The example at the end of a command's help."""
    return "[bold]Example[/]\n\n" + "\n\n".join(f"  {line}" for line in lines)
