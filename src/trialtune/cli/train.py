"""`trialtune finetune`, `compare`, `crossfit`: training classifiers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trialtune.cli.app import AsJson, Encoder, Out, app, emit, example
from trialtune.cli.options import described, from_sets
from trialtune.cli.tasks import Labels, TaskData, TaskName, data_of, stdout
from trialtune.errors import UsageError
from trialtune.models.bundled import EMBEDDED
from trialtune.settings import validated
from trialtune.stages.settings import FinetuneSettings

if TYPE_CHECKING:
    from trialtune.evaluation.training_result import TrainingResult

Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=described(FinetuneSettings))
]
Method = Annotated[
    str | None,
    typer.Option(
        help="auto (chosen by cross-validation; the default), shipped, read-out, tf-idf, lora or full:"
        " see the setting method."
    ),
]
DefaultEncoder = Annotated[
    str, typer.Option("--encoder", help="A folder, a Hub id, embedded:minilm-l6 or embedded:mpnet-base.")
]
Adapter = Annotated[str | None, typer.Option(help="An adapter folder or its Hub id, merged in first.")]
MaxTrain = Annotated[
    int | None,
    typer.Option(
        min=50, help="Maximum number of rows, sampled evenly over the labels; class shares are corrected for."
    ),
]
Outliers = Annotated[
    list[Path] | None,
    typer.Option(
        help="A table of texts that no label fits (.txt: one per line), to learn to be uncertain on."
    ),
]


def _sizes(text: str) -> list[int | None]:
    try:
        return [None if size.strip() == "all" else int(size) for size in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--train-sizes {text!r}: write numbers of rows, and all: 50,100,all") from error


def _seeds(text: str) -> list[int]:
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: write whole numbers, for example 1,2,3") from error


def _settings(sets: list[str] | None, method: str | None) -> FinetuneSettings:
    return from_sets(FinetuneSettings, [*(sets or ()), *([f"method={method}"] if method else ())])


def _choice_table(summary: "TrainingResult") -> Table:
    from trialtune.reports.summary import score_text

    table = Table("method", "trained on", "log loss", "micro-F1", "macro-F1")
    for one in summary.choice:
        if one.left_out:
            table.add_row(one.method, f"not tried: {one.left_out}", "", "", "")
        else:
            name = f"{one.method} (chosen)" if one.chosen else one.method
            scores = (one.log_loss, one.micro_f1, one.macro_f1)
            table.add_row(name, one.reads, *map(score_text, scores))
    return table


@app.command(
    epilog=example(
        "trialtune finetune ./my_task.yaml --data labels.csv --out c",
        "trialtune finetune ./my_task.yaml --data labels.csv --method shipped --out c",
        "trialtune finetune stop-reasons --data snapshot.parquet --encoder base/ --adapter lora/ --out c",
        "trialtune finetune ./my_task.yaml --method full --set loss=focal --out c",
    )
)
def finetune(
    task: TaskName,
    out: Out,
    data: TaskData = None,
    method: Method = None,
    encoder: DefaultEncoder = EMBEDDED,
    adapter: Adapter = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            help="A classifier folder to distil from, or a .parquet of `predict` or `crossfit`; may be"
            " repeated."
        ),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None, typer.Option(help="A table of texts labelled only by the teachers.")
    ] = None,
    outliers: Outliers = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Labelled rows for calibration and thresholds, instead of a share of --data."),
    ] = None,
    labels: Labels = None,
    max_train: MaxTrain = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Train a classifier by a suitable method; thresholds are tuned on held-out rows."""
    from trialtune.console import is_first_process
    from trialtune.dataset.extra_texts import ExtraTexts, read_texts
    from trialtune.dataset.reading import read_examples
    from trialtune.stages.finetune import finetune as run
    from trialtune.tasks.catalog import load_task
    from trialtune.training.progress import training_bar

    settings, chosen = _settings(sets, method), load_task(task)
    quarantine = out.with_name(f"{out.name}.quarantine.jsonl")
    labelled = read_examples(chosen, data_of(chosen, data), labels, quarantine=quarantine)
    aside = None
    if calibration:
        own = out.with_name(f"{out.name}.calibration.quarantine.jsonl")
        aside = read_examples(chosen, calibration, None, quarantine=own).trainable
    extra = ExtraTexts(read_texts(unlabelled or (), chosen), read_texts(outliers or (), chosen))
    with training_bar(chosen.name) as report:
        summary = run(
            chosen,
            labelled.trainable,
            encoder,
            out,
            settings=settings,
            adapter=adapter,
            teachers=teacher or (),
            extra=extra,
            calibration=aside,
            max_train=max_train,
            report=report,
        )

    def show(_: dict[str, Any]) -> None:
        if summary.choice:
            stdout().print(_choice_table(summary))
        scores = summary.calibration
        where = f"in {summary.folds} folds" if summary.folds else "used for the thresholds"
        typer.echo(
            f"on {summary.rows.calibration} calibration rows, {where}: "
            f"micro-F1 {scores.micro_f1:.3f}, macro-F1 {scores.macro_f1:.3f}"
        )
        typer.echo(f"written to {out}")

    if is_first_process():
        emit({**summary.model_dump(mode="json"), "data": labelled.counts}, as_json, show)


@app.command(
    epilog=example(
        "trialtune compare stop-reasons --data train.parquet --test dev.parquet "
        "--encoder base/ --adapter adapter/ --set epochs=3 --out comparison/",
        "trialtune compare stop-reasons --data train.parquet --test dev.parquet --encoder base/ "
        "--adapter adapter/ --train-sizes 50,100,200,500,1000,all --out sizes/",
    )
)
def compare(
    task: TaskName,
    encoder: Encoder,
    out: Out,
    adapter: Annotated[
        str | None,
        typer.Option(help="The adapter to evaluate: a folder or a Hub id.", show_default=False),
    ] = None,
    data: TaskData = None,
    test: Annotated[Path | None, typer.Option(help="Test rows; default a fifth of the rows.")] = None,
    train_sizes: Annotated[
        str | None,
        typer.Option(
            metavar="<int,...>",
            help="Compare on nested training sets of these sizes, `all` for all rows, also with the shipped"
            " classifier and TF-IDF: 50,100,200,500,1000,all.",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Number of training sets of each size.")] = 5,
    task_adapt_steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="With --train-sizes: also adapt to the training texts, for this many steps."
        ),
    ] = None,
    labels: Labels = None,
    seeds: Annotated[
        str,
        typer.Option(parser=_seeds, metavar="<int,...>", help="Random seeds; each trains two classifiers."),
    ] = "1,2,3,4,5",
    sets: Sets = None,
    drop_overlap: Annotated[
        bool,
        typer.Option(
            "--drop-overlap", help="Leave out training rows that are among the test rows instead of stopping."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train the same classifier on the base and on the adapted encoder, and compare them."""
    from trialtune.experiment.comparison import compare as run
    from trialtune.reports.tables import summary_to_rich, to_rich
    from trialtune.tasks.catalog import load_task

    settings, chosen = from_sets(FinetuneSettings, sets), load_task(task)
    if train_sizes:
        from trialtune.experiment.size_settings import SizeSettings
        from trialtune.experiment.sizes import compare_sizes
        from trialtune.reports.sizes import sizes_to_rich

        wanted = {"sizes": _sizes(train_sizes), "draws": draws, "task_adapt_steps": task_adapt_steps}
        by_size = compare_sizes(
            chosen,
            data_of(chosen, data),
            encoder,
            out,
            adapter=adapter,
            sizes=validated(SizeSettings, wanted, where="--train-sizes"),
            settings=settings,
            test=test,
            labels=labels,
        )
        emit(by_size, as_json, lambda _: stdout().print(sizes_to_rich(by_size)))
        return
    if adapter is None:
        raise UsageError("--adapter is missing: give the adapter to evaluate, or --train-sizes")
    result = run(
        chosen,
        data_of(chosen, data),
        encoder,
        adapter,
        out,
        settings=settings,
        test=test,
        labels=labels,
        seeds=[*map(int, seeds)],
        drop_overlap=drop_overlap,
    )

    emit(
        result,
        as_json,
        lambda _: stdout().print(summary_to_rich(result), "", to_rich(result), "", result.verdict),
    )


@app.command(
    epilog=example(
        "trialtune crossfit stop-reasons --data train.parquet --encoder embedded:minilm-l6 --out crossfit/"
    )
)
def crossfit(
    task: TaskName,
    out: Out,
    data: TaskData = None,
    method: Method = None,
    encoder: DefaultEncoder = EMBEDDED,
    adapter: Adapter = None,
    labels: Labels = None,
    folds: Annotated[
        int,
        typer.Option(
            min=2, help="Number of folds; each row is scored by a classifier trained on the others."
        ),
    ] = 5,
    outliers: Outliers = None,
    max_train: MaxTrain = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Cross-validate: scores for choosing settings, and labels that are probably errors."""
    from trialtune.dataset.extra_texts import read_texts
    from trialtune.dataset.reading import read_examples
    from trialtune.reports.summary import score_text
    from trialtune.stages.cross_validate import cross_validate
    from trialtune.tasks.catalog import load_task
    from trialtune.training.progress import training_bar

    settings, chosen = _settings(sets, method), load_task(task)
    quarantine = out / "quarantine.jsonl"
    labelled = read_examples(chosen, data_of(chosen, data), labels, quarantine=quarantine)
    with training_bar(chosen.name) as report:
        summary = cross_validate(
            chosen,
            labelled.trainable,
            encoder,
            out,
            settings=settings,
            folds=folds,
            adapter=adapter,
            outliers=read_texts(outliers or (), chosen),
            max_train=max_train,
            report=report,
        )

    def show(_: object) -> None:
        table = Table("label", "F1", "given, probably wrong", "missing, probably right")
        for label, counts in summary.suspects_per_class.items():
            f1 = score_text(summary.per_class[label].f1)
            table.add_row(label, f1, f"{counts.given:,}", f"{counts.missing:,}")
        stdout().print(table)
        typer.echo(
            f"{summary.n:,} rows in {folds} folds: micro-F1 {summary.micro_f1:.3f}, "
            f"macro-F1 {summary.macro_f1:.3f}; {summary.suspects:,} doubts in {out / 'suspects.parquet'}"
        )

    emit(summary, as_json, show)
