"""`trialtune finetune`, `compare`, `crossfit`: training classifiers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trialtune.cli.app import AsJson, Encoder, Out, app, emit, example
from trialtune.cli.tasks import Labels, TaskData, TaskName, data_of, stdout

if TYPE_CHECKING:
    import polars as pl

    from trialtune.dataset.examples import Labelled
    from trialtune.stages.finetune import FinetuneSettings

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A setting of the training: epochs, batch_size, learning_rate, layer_decay, head_rate, method "
        "(full, lora), loss (plain, weighted, focal, asymmetric), patience, max_length, seed...",
    ),
]
MaxTrain = Annotated[
    int | None,
    typer.Option(min=50, help="At most so many rows, drawn evenly over the labels; shares are mended."),
]


@app.command(
    epilog=example(
        "trialtune finetune stop-reasons --data snapshot.parquet --encoder base/ --adapter lora/ --out c",
        "trialtune finetune ./my_task.yaml --encoder embedded:minilm-l6 --set loss=focal --out c",
    )
)
def finetune(
    task: TaskName,
    encoder: Encoder,
    out: Out,
    data: TaskData = None,
    adapter: Annotated[Path | None, typer.Option(help="An adapter folder, merged in first.")] = None,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="A classifier folder to learn from; may be given several times.")
    ] = None,
    labels: Labels = None,
    max_train: MaxTrain = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Train a classifier; thresholds are tuned on rows kept out of training."""
    from accelerate import PartialState

    from trialtune.console import console
    from trialtune.dataset.reading import read_examples
    from trialtune.reports.card import write_card
    from trialtune.stages.finetune import finetune as run
    from trialtune.tasks.catalog import load_task
    from trialtune.training.progress import training_bar

    settings, chosen = finetune_settings(sets), load_task(task)
    quarantine = out.with_name(f"{out.name}.quarantine.jsonl")
    labelled = read_examples(chosen, data_of(chosen, data), labels, quarantine=quarantine)
    rows = training_rows(labelled, max_train, seed=settings.seed)
    with training_bar(chosen.name) as report:
        summary = run(
            chosen,
            rows,
            encoder,
            out,
            settings=settings,
            adapter=adapter,
            teachers=teacher or (),
            report=report,
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
        write_card(out)
        emit(summary, as_json, show)


@app.command(
    epilog=example(
        "trialtune compare stop-reasons --data train.parquet --test dev.parquet "
        "--encoder base/ --adapter adapter/ --set epochs=3 --out comparison/"
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
    seeds: Annotated[str, typer.Option(help="Each trains two classifiers.")] = "1,2,3,4,5",
    sets: Sets = None,
    drop_overlap: Annotated[
        bool, typer.Option(help="Leave out training rows that are among the test rows instead of refusing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train the same classifier on the base and on the adapted encoder, and compare them fairly."""
    from trialtune.console import tell
    from trialtune.dataset.holdout import SplitSettings, divide
    from trialtune.dataset.overlap import check_no_overlap
    from trialtune.dataset.reading import read_examples
    from trialtune.errors import UsageError
    from trialtune.evaluation.comparison import ComparisonResult
    from trialtune.experiment.comparison import Comparison
    from trialtune.files import folder_digest, sha256_of
    from trialtune.models.adapters import check_adapter
    from trialtune.models.encoders import encoder_digest
    from trialtune.reports.tables import summary_to_rich, to_rich
    from trialtune.tasks.catalog import load_task
    from trialtune.training.progress import training_bar

    if not all(seed.strip().isdigit() for seed in seeds.split(",")):
        raise UsageError(f"--seeds {seeds!r}: write whole numbers, for example 1,2,3")
    check_adapter(adapter)
    chosen = load_task(task)
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
        settings=finetune_settings(sets),
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

    def show(result: ComparisonResult) -> None:
        stdout().print(summary_to_rich(result), "", to_rich(result), "", result.verdict)

    emit(ComparisonResult.model_validate(record["result"]), as_json, show)


@app.command(
    epilog=example(
        "trialtune crossfit stop-reasons --data train.parquet --encoder embedded:minilm-l6 --out crossfit/"
    )
)
def crossfit(
    task: TaskName,
    encoder: Encoder,
    out: Out,
    data: TaskData = None,
    adapter: Annotated[Path | None, typer.Option(help="An adapter folder, merged in first.")] = None,
    labels: Labels = None,
    folds: Annotated[int, typer.Option(min=2, help="Classifiers; each scores the rows it has not seen.")] = 5,
    max_train: MaxTrain = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Cross-validate: scores to choose settings by, and the labels that are probably mistakes."""
    from trialtune.dataset.reading import read_examples
    from trialtune.reports.summary import score_text
    from trialtune.stages.crossfit import cross_fit, summarise
    from trialtune.tasks.catalog import load_task
    from trialtune.training.progress import training_bar

    settings, chosen = finetune_settings(sets), load_task(task)
    quarantine = out / "quarantine.jsonl"
    labelled = read_examples(chosen, data_of(chosen, data), labels, quarantine=quarantine)
    rows = training_rows(labelled, max_train, seed=settings.seed)
    with training_bar(chosen.name) as report:
        scored = cross_fit(
            chosen, rows, encoder, out, settings=settings, folds=folds, adapter=adapter, report=report
        )
    summary = summarise(chosen, scored, out)

    def show(result: dict[str, Any]) -> None:
        table = Table("label", "F1", "given, probably wrong", "missing, probably right")
        for label, counts in result["suspects_per_class"].items():
            f1 = score_text(result["per_class"][label]["f1"])
            table.add_row(label, f1, f"{counts['given']:,}", f"{counts['missing']:,}")
        stdout().print(table)
        typer.echo(
            f"{result['n']:,} rows in {folds} folds: micro-F1 {result['micro_f1']:.3f}, "
            f"macro-F1 {result['macro_f1']:.3f}; {result['suspects']:,} doubts in {out / 'suspects.parquet'}"
        )

    emit(summary, as_json, show)


def training_rows(labelled: "Labelled", count: int | None, *, seed: int) -> "pl.DataFrame":
    """The rows that may be trained on: all, or `count` drawn evenly over the labels."""
    from trialtune.dataset.holdout import draw_evenly

    return draw_evenly(labelled.trainable, count, seed=seed) if count else labelled.trainable


def finetune_settings(sets: list[str] | None) -> "FinetuneSettings":
    """The settings of a training, with what --set gives."""
    from trialtune.settings import set_value, validated
    from trialtune.stages.finetune import FinetuneSettings

    values: dict[str, Any] = {}
    for given in sets or []:
        set_value(values, given)
    return validated(FinetuneSettings, values, where="--set")
