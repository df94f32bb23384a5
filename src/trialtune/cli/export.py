"""`trialtune export`: a classifier for `transformers` or onnxruntime, with its predictions compared."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, Out, app, emit, example
from trialtune.cli.tasks import ClassifierName, Labels, stdout


@app.command(epilog=example("trialtune export clf/ --format onnx-int8 --data dev.parquet --out clf-int8/"))
def export(
    classifier: ClassifierName,
    out: Out,
    form: Annotated[
        str,
        typer.Option("--format", help="safetensors; onnx (fp32); onnx-int8: the fastest on a CPU."),
    ] = "onnx-int8",
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled rows, not seen in training, to compare original and export."),
    ] = None,
    labels: Labels = None,
    force: Annotated[bool, typer.Option("--force", help="Write it even if accuracy drops.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export a classifier to a folder for all commands and for other tools."""
    from trialtune.classifier.named import open_folder
    from trialtune.console import bar
    from trialtune.dataset.reading import read_examples
    from trialtune.reports.scores import parity_to_rich
    from trialtune.stages.export import export as run

    examples = None
    if data:
        quarantine = out.with_name(f"{out.name}.quarantine.jsonl")
        examples = read_examples(open_folder(classifier).task, data, labels, quarantine=quarantine).frame
    with bar("comparing answers") as progress:
        report = run(
            classifier,
            out,
            form=form,
            examples=examples,
            source=data.name if data else "",
            force=force,
            progress=progress,
        )

    def show(result: dict[str, Any]) -> None:
        stdout().print(parity_to_rich(result["parity"]))
        typer.echo(f"written to {out} ({result['megabytes']:,} MB)")

    emit(report, as_json, show)
