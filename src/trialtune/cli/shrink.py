"""`trialtune shrink`: a smaller encoder for distillation."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, Encoder, Out, app, emit, example
from trialtune.cli.options import settings_options
from trialtune.models.settings import ShrinkSettings


@app.command(
    epilog=example(
        "trialtune shrink --encoder embedded:minilm-l6 --layers 0,2,5 --texts reasons.txt --out small/",
        "trialtune finetune stop-reasons --data train.parquet --encoder small/ --teacher mpnet/ --out clf/",
    )
)
@settings_options
def shrink(
    encoder: Encoder,
    out: Out,
    settings: ShrinkSettings,
    texts: Annotated[
        list[Path] | None,
        typer.Option(help="Tables of texts (.txt: one per line); unused word pieces are removed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prune an encoder to fewer layers, narrower ones, fewer word pieces: a student for distillation."""
    from trialtune.dataset.extra_texts import read_texts
    from trialtune.models.shrink import shrink as run

    done = run(encoder, out, settings=settings, texts=read_texts(texts) if texts else None)

    def show(_: dict[str, Any]) -> None:
        typer.echo(
            f"{done.vocabulary[0]:,} -> {done.vocabulary[1]:,} word pieces,"
            f" {done.parameters[0] / 1e6:.1f} -> {done.parameters[1] / 1e6:.1f} million parameters"
        )
        typer.echo(f"written to {out}")

    emit({"vocabulary": done.vocabulary, "parameters": done.parameters}, as_json, show)
