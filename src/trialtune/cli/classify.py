"""`trialtune finetune`, `evaluate`, `compare`, `predict`: classifiers and what they say."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trialtune.cli.app import AsJson, Encoder, Out, app, emit, example

if TYPE_CHECKING:
    from trialtune.tasks.task import Task

TaskName = Annotated[
    str, typer.Argument(help="stop-reasons, sex, or the .yaml file of your own task.", show_default=False)
]
_DATA_HELP = "A snapshot, or a .parquet/.csv/.jsonl/.json table with text and labels; also hf://datasets/OWNER/NAME/FILE."
Data = Annotated[Path, typer.Option("--data", help=_DATA_HELP, show_default=False)]
TaskData = Annotated[
    Path | None,
    typer.Option("--data", help=f"{_DATA_HELP} A task's .yaml may name one.", show_default=False),
]
Labels = Annotated[
    Path | None,
    typer.Option(help="A table of nct_id and labels for the snapshot's trials, instead of the shipped ones."),
]
Epochs = Annotated[float, typer.Option(min=0.01, help="Passes over the training rows.")]
LearningRate = Annotated[float, typer.Option(help="Peak learning rate.")]
MaxLength = Annotated[
    int | None, typer.Option(min=8, help="Tokens a text; the task's own default when not given.")
]


@app.command(
    epilog=example(
        "trialtune finetune stop-reasons --data snapshot.parquet --encoder base/ --adapter adapter/ --out clf"
    )
)
def finetune(
    task: TaskName,
    encoder: Encoder,
    out: Out,
    data: TaskData = None,
    adapter: Annotated[Path | None, typer.Option(help="An adapter folder, merged in first.")] = None,
    labels: Labels = None,
    epochs: Epochs = 4.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows a step.")] = 32,
    learning_rate: LearningRate = 2e-4,
    max_length: MaxLength = None,
    seed: Annotated[int, typer.Option(help="Seed of head, order and calibration rows.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Train a classifier; thresholds are tuned on rows kept out of training."""
    from accelerate import PartialState

    from trialtune.console import console, training_bar
    from trialtune.stages.examples import read_examples
    from trialtune.stages.finetune import FinetuneSettings
    from trialtune.stages.finetune import finetune as run
    from trialtune.tasks.task import get_task

    chosen = get_task(task)
    quarantine = out.with_name(f"{out.name}.quarantine.jsonl")
    labelled = read_examples(chosen, data_of(chosen, data), labels, quarantine=quarantine)
    settings = FinetuneSettings(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, max_length=max_length, seed=seed
    )
    with training_bar(chosen.name) as report:
        summary = run(
            chosen, labelled.trainable, encoder, out, settings=settings, adapter=adapter, report=report
        )
    summary["data"] = labelled.counts

    def show(result: dict[str, Any]) -> None:
        console.print(f"rows: {result['data']}", markup=False)
        scores = result["calibration"]
        typer.echo(
            f"on {result['rows']['calibration']} calibration rows, which chose the thresholds: "
            f"micro-F1 {scores['micro_f1']:.3f}, macro-F1 {scores['macro_f1']:.3f}"
        )
        typer.echo(f"written to {out}")

    if PartialState().is_main_process:
        emit(summary, as_json, show)


@app.command(epilog=example("trialtune evaluate clf/ --data dev.parquet --out metrics.json"))
def evaluate(
    classifier: Annotated[Path, typer.Argument(help="A classifier folder.")],
    data: Data,
    out: Out,
    labels: Labels = None,
    drop_overlap: Annotated[
        bool, typer.Option(help="Leave out rows seen in training instead of refusing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score a classifier on labelled rows that it has not seen."""
    from trialtune.console import bar
    from trialtune.files import write_json
    from trialtune.reports.scores import scores_to_rich
    from trialtune.stages.evaluate import evaluate as run
    from trialtune.stages.examples import read_examples
    from trialtune.tasks.task import task_of

    task = task_of(classifier)
    labelled = read_examples(task, data, labels, quarantine=out.with_name(f"{out.stem}.quarantine.jsonl"))
    with bar("scoring texts") as progress:
        metrics, _ = run(classifier, labelled.frame, drop_overlap=drop_overlap, progress=progress)
    metrics["data"] = {"file": str(data), **labelled.counts}
    write_json(out, metrics)
    emit(metrics, as_json, lambda result: stdout().print(scores_to_rich(result)))


@app.command(
    epilog=example(
        "trialtune compare stop-reasons --data train.parquet --test dev.parquet "
        "--encoder base/ --adapter adapter/ --seeds 1,2,3 --out comparison/"
    )
)
def compare(
    task: TaskName,
    encoder: Encoder,
    adapter: Annotated[Path, typer.Option(help="The adapter whose worth is asked.", show_default=False)],
    out: Out,
    data: TaskData = None,
    test: Annotated[Path | None, typer.Option(help="Test rows; a fifth of the rows when not given.")] = None,
    labels: Labels = None,
    seeds: Annotated[str, typer.Option(help="Comma-separated seeds; each trains two classifiers.")] = "1,2,3",
    epochs: Epochs = 4.0,
    learning_rate: LearningRate = 2e-4,
    max_length: MaxLength = None,
    drop_overlap: Annotated[
        bool, typer.Option(help="Leave out training rows that are among the test rows instead of refusing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train the same classifier on the base and on the adapted encoder, and compare them fairly."""
    from trialtune.console import tell, training_bar
    from trialtune.errors import UsageError
    from trialtune.files import folder_digest, sha256_of
    from trialtune.models.adapters import check_adapter
    from trialtune.models.encoders import encoder_digest
    from trialtune.reports.tables import summary_to_rich, to_rich
    from trialtune.stages.compare import Comparison
    from trialtune.stages.examples import SplitSettings, divide, read_examples
    from trialtune.stages.finetune import FinetuneSettings
    from trialtune.tasks.overlap import check_no_overlap
    from trialtune.tasks.task import get_task

    if not all(seed.strip().isdigit() for seed in seeds.split(",")):
        raise UsageError(f"--seeds {seeds!r}: write whole numbers, for example 1,2,3")
    check_adapter(adapter)
    chosen = get_task(task)
    examples = out / "examples"
    quarantine = examples / "train.quarantine.jsonl"
    labelled = read_examples(chosen, data_of(chosen, data), labels, quarantine=quarantine)
    tested = (
        read_examples(chosen, test, labels, quarantine=examples / "test.quarantine.jsonl").frame
        if test
        else None
    )
    if tested is not None and not drop_overlap:
        check_no_overlap(labelled.trainable, tested, names=(str(data_of(chosen, data)), str(test)))
    divide(chosen, labelled.trainable, tested, examples, settings=SplitSettings())
    comparison = Comparison(
        task=chosen,
        train=examples / "train.parquet",
        test=examples / "test.parquet",
        encoder=encoder,
        adapter=adapter,
        out=out,
        settings=FinetuneSettings(epochs=epochs, learning_rate=learning_rate, max_length=max_length),
        seeds=[int(seed) for seed in seeds.split(",")],
    )
    inputs = [
        encoder_digest(encoder),
        folder_digest(adapter),
        sha256_of(comparison.train),
        sha256_of(comparison.test),
        chosen.describe(),
    ]
    for step in comparison.steps(*inputs, bar=training_bar):
        record = step.run(tell)

    def show(result: dict[str, Any]) -> None:
        stdout().print(summary_to_rich(result), "", to_rich(result), "", result["verdict"])

    emit(record["result"], as_json, show)


@app.command(epilog=example("trialtune errors clf/ --data dev.parquet --html errors.html"))
def errors(
    classifier: Annotated[Path, typer.Argument(help="A classifier folder.")],
    data: Data,
    labels: Labels = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the marked texts here.")] = None,
    each: Annotated[int, typer.Option(min=1, help="Errors of each kind for a class.")] = 3,
    drop_overlap: Annotated[
        bool, typer.Option(help="Leave out rows seen in training instead of refusing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a classifier's worst errors, class by class, and the words that mattered."""
    from trialtune.console import bar
    from trialtune.reports.errors import errors_to_rich, write_errors_page
    from trialtune.stages.errors import find_errors
    from trialtune.stages.evaluate import evaluate as run
    from trialtune.stages.examples import read_examples
    from trialtune.tasks.task import task_of

    task = task_of(classifier)
    quarantine = (html or data).with_name(f"{(html or data).stem}.quarantine.jsonl")
    labelled = read_examples(task, data, labels, quarantine=quarantine)
    with bar("scoring texts") as progress:
        _, rows = run(classifier, labelled.frame, drop_overlap=drop_overlap, progress=progress)
    with bar("taking words out") as progress:
        found = find_errors(classifier, rows, each=each, progress=progress)
    if html:
        write_errors_page(found, html)

    def show(result: dict[str, Any]) -> None:
        if html:
            typer.echo(f"written to {html}")
        else:
            stdout().print(errors_to_rich(result))

    emit(found, as_json, show)


@app.command(epilog=example("trialtune split stop-reasons --data labelled.parquet --out parts/ --folds 5"))
def split(
    task: TaskName,
    out: Out,
    data: TaskData = None,
    labels: Labels = None,
    folds: Annotated[int | None, typer.Option(help="So many folds for cross-validation.")] = None,
    test_share: Annotated[float, typer.Option(help="Share of the rows that is held out.")] = 0.2,
    after: Annotated[
        str | None, typer.Option(help="Hold out the rows of this date and later, 2017-04-30.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 13,
    as_json: AsJson = False,
) -> None:
    """Divide labelled rows so that no trial and no wording, nor nearly one, is on both sides."""
    from trialtune.reports.scores import parts_to_rich
    from trialtune.stages.examples import read_examples
    from trialtune.stages.split import PartSettings, write_split
    from trialtune.tasks.task import get_task

    chosen = get_task(task)
    settings = PartSettings(folds=folds, test_share=test_share, after=after, seed=seed)
    quarantine = out.with_name(f"{out.name}.quarantine.jsonl")
    labelled = read_examples(chosen, data_of(chosen, data), labels, quarantine=quarantine)
    summary = {**write_split(chosen, labelled.frame, out, settings=settings), "data": labelled.counts}
    emit(summary, as_json, lambda result: stdout().print(*parts_to_rich(result)))


@app.command(epilog=example("trialtune predict clf/ 'Slow accrual and loss of funding'"))
def predict(
    classifier: Annotated[Path, typer.Argument(help="A classifier folder.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; - reads lines from stdin.")] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", help="A table with a text column, or a snapshot.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write .parquet, .csv or .jsonl here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Label texts, or the rows of a table."""
    from trialtune.console import bar
    from trialtune.errors import UsageError
    from trialtune.stages.examples import read_table
    from trialtune.stages.predict import check_table_name, write_table
    from trialtune.stages.predict import predict as run

    if bool(texts) == bool(input_):
        raise UsageError("give texts or --input FILE, and not both")
    if output:
        check_table_name(output)
    if texts == ["-"]:
        texts = [line.rstrip("\n") for line in sys.stdin]
    rows = read_table(input_) if input_ else pl.DataFrame({"text": texts})
    with bar("scoring texts", len(rows)) as progress:
        predicted = run(classifier, rows, progress=progress)
    if output:
        write_table(predicted, output)

    def show(result: dict[str, Any]) -> None:
        if output:
            typer.echo(f"{result['n']:,} rows written to {output}")
            return
        table = Table("text", "labels", "probability of each")
        for row in result["predictions"]:
            likely = [f"{row[label]:.2f}" for label in row["labels"] or []]
            table.add_row(Text(row["text"]), "\n".join(row["labels"] or ["(no text)"]), "\n".join(likely))
        stdout().print(table)

    emit({"n": len(predicted), "predictions": [] if output else predicted.to_dicts()}, as_json, show)


def data_of(task: "Task", data: Path | None) -> Path:
    """The data file to read: the one given, else the one that the task's declaration names."""
    from trialtune.errors import UsageError

    named = task.declaration.data if task.declaration else None
    if data is None and named is None:
        raise UsageError(f"{task.name}: no data; give --data FILE")
    return data or Path(str(named))


def stdout() -> Console:
    """A console for results."""
    return Console(highlight=False)
