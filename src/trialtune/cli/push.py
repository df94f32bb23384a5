"""`trialtune push`: upload to the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

import typer

from trialtune.cli.app import AsJson, app, emit, example


@app.command(
    epilog=example(
        "trialtune push adapter/ someone/ctbert-lora", "trialtune push labelled/stop-reasons someone/labels"
    )
)
def push(
    folder: Annotated[
        Path, typer.Argument(help="A classifier, an adapter or an output of apply.", show_default=False)
    ],
    name: Annotated[str, typer.Argument(help="OWNER/NAME.", show_default=False)],
    private: Annotated[
        bool | None, typer.Option("--private/--public", help="Visibility; default the owner's setting.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload to the Hugging Face Hub, as a model or a data set; log in with `hf auth login` first."""
    from trialtune.stages.push import push_to_hub

    emit({"url": push_to_hub(folder, name, private=private)}, as_json, lambda sent: typer.echo(sent["url"]))
