"""`trialtune evaluate`, `errors`, `split`, `predict`: using and scoring classifiers."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from trialtune.cli.app import AsJson, Out, app, emit, example
from trialtune.cli.options import settings_options
from trialtune.cli.tasks import (
    ClassifierName,
    Crosswalks,
    Data,
    Labels,
    TaskData,
    TaskName,
    WithEvidence,
    data_of,
    stdout,
)
from trialtune.stages.settings import PartSettings

if TYPE_CHECKING:
    from trialtune.labelling.table import LabelledTable
    from trialtune.tasks.crosswalk import Crosswalk


@app.command(epilog=example("trialtune evaluate clf/ --data dev.parquet --out metrics.json"))
def evaluate(
    classifier: ClassifierName,
    data: Data,
    out: Out,
    labels: Labels = None,
    drop_overlap: Annotated[
        bool, typer.Option(help="Leave out rows seen in training instead of stopping.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score a classifier on labelled rows that it was not trained on."""
    from trialtune.classifier.classifier import Classifier
    from trialtune.classifier.evaluate import evaluate as run
    from trialtune.console import bar
    from trialtune.dataset.reading import read_examples
    from trialtune.files import write_json
    from trialtune.reports.scores import scores_to_rich

    opened = Classifier.from_pretrained(classifier)
    labelled = read_examples(
        opened.task, data, labels, quarantine=out.with_name(f"{out.stem}.quarantine.jsonl")
    )
    with bar("scoring texts") as progress:
        metrics, _ = run(opened, labelled.frame, drop_overlap=drop_overlap, progress=progress)
    report = {**metrics.model_dump(mode="json"), "data": {"file": str(data), **labelled.counts}}
    write_json(out, report)
    emit(report, as_json, lambda _: stdout().print(scores_to_rich(metrics)))


@app.command(epilog=example("trialtune errors clf/ --data dev.parquet --html errors.html"))
def errors(
    classifier: ClassifierName,
    data: Data,
    labels: Labels = None,
    html: Annotated[Path | None, typer.Option(help="Write an HTML page with the highlighted texts.")] = None,
    each: Annotated[int, typer.Option(min=1, help="Errors of each kind per class.")] = 3,
    drop_overlap: Annotated[
        bool, typer.Option(help="Leave out rows seen in training instead of stopping.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a classifier's worst errors, class by class, and the words that mattered."""
    from trialtune.classifier.classifier import Classifier
    from trialtune.classifier.evaluate import evaluate as run
    from trialtune.console import bar
    from trialtune.dataset.reading import read_examples
    from trialtune.evaluation.error_report import ErrorReport
    from trialtune.reports.errors import errors_to_rich, write_errors_page
    from trialtune.stages.errors import find_errors

    opened = Classifier.from_pretrained(classifier)
    quarantine = (html or data).with_name(f"{(html or data).stem}.quarantine.jsonl")
    labelled = read_examples(opened.task, data, labels, quarantine=quarantine)
    with bar("scoring texts") as progress:
        _, rows = run(opened, labelled.frame, drop_overlap=drop_overlap, progress=progress)
    with bar("removing words") as progress:
        found = find_errors(opened, rows, each=each, progress=progress)
    if html:
        write_errors_page(found, html)

    def show(result: ErrorReport) -> None:
        if html:
            typer.echo(f"written to {html}")
        else:
            stdout().print(errors_to_rich(result))

    emit(found, as_json, show)


@app.command(epilog=example("trialtune split stop-reasons --data labelled.parquet --out parts/ --folds 5"))
@settings_options
def split(
    task: TaskName,
    out: Out,
    settings: PartSettings,
    data: TaskData = None,
    labels: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Split labelled rows so that no trial, wording or near-duplicate is in two parts."""
    from trialtune.dataset.reading import read_examples
    from trialtune.reports.scores import parts_to_rich
    from trialtune.stages.split import write_split
    from trialtune.tasks.catalog import load_task

    chosen = load_task(task)
    quarantine = out.with_name(f"{out.name}.quarantine.jsonl")
    labelled = read_examples(chosen, data_of(chosen, data), labels, quarantine=quarantine)
    summary = write_split(chosen, labelled.frame, out, settings=settings)
    report = {**summary.model_dump(mode="json"), "data": labelled.counts}
    emit(report, as_json, lambda _: stdout().print(*parts_to_rich(summary)))


@app.command(
    epilog=example("trialtune predict stop-reasons 'Too few people joined, funding ended' --evidence")
)
def predict(
    classifier: ClassifierName,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; - for lines from stdin.")] = None,
    input_: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="A table (.csv, .tsv, .txt, .parquet, .jsonl, .json; also .gz) with a column of texts, or"
            " a snapshot.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Output table: .parquet, .csv or .jsonl.")
    ] = None,
    crosswalk: Crosswalks = None,
    evidence: WithEvidence = False,
    as_json: AsJson = False,
) -> None:
    """Label texts, or the rows of a table."""
    from trialtune.classifier.classifier import Classifier
    from trialtune.errors import UsageError

    if bool(texts) == bool(input_):
        raise UsageError("give either texts or --input FILE")
    for text in texts or ():
        if os.path.isfile(text):  # noqa: PTH113 - a long text is no error to it
            raise UsageError(
                f"{text} is a file; label its rows with --input {text} (or, if these words are the text,"
                " pass them on stdin, with -)"
            )
    if texts == ["-"]:
        texts = [line.rstrip("\n") for line in sys.stdin]
    if texts and not output and not as_json and not crosswalk:  # needs no table, and so starts sooner
        predictions = Classifier.from_pretrained(classifier).predict(texts, evidence=evidence)
        rows = zip(texts, predictions, strict=True)
        shown = ({"text": text, **asdict(prediction)} for text, prediction in rows)
        stdout().print(_table(shown, evidence=evidence))
        return
    from trialtune.classifier.crosswalk_columns import crosswalks_for
    from trialtune.console import bar
    from trialtune.dataset.frames import as_polars
    from trialtune.dataset.tables import check_table_name, read_table, write_table
    from trialtune.labelling.table import label_table

    if output:
        check_table_name(output)
    table = read_table(input_) if input_ else as_polars({"text": texts})
    opened = Classifier.from_pretrained(classifier)
    chosen = crosswalks_for(opened.task, crosswalk or ())
    with bar("scoring texts", len(table)) as progress:
        labelled = label_table(
            opened, table, where=str(input_), crosswalks=chosen, evidence=evidence, progress=progress
        )
    if output:
        write_table(labelled.rows, output)
    if input_:
        _tell_columns(input_, labelled)

    def show(result: dict[str, Any]) -> None:
        if output:
            counts = (
                "{n:,} rows written to {0}: {without_text:,} without a text, {needs_review:,} need review"
            )
            typer.echo(counts.format(output, **result))
        else:
            stdout().print(_table(result["predictions"], chosen, evidence=evidence))

    columns = {"columns": labelled.columns} if input_ else {}
    answers = [] if output else labelled.rows.to_dicts()
    emit({**labelled.counts, **columns, "predictions": answers}, as_json, show)


def _tell_columns(path: Path, labelled: "LabelledTable") -> None:
    """Say which columns of the table were read, kept and left out."""
    from trialtune.cli.findings import listed
    from trialtune.console import tell

    texts, nct_id = labelled.source
    ids = f"NCT ids from {nct_id}" if nct_id else "it has no column of NCT ids"
    tell(f"{path}: text from {', '.join(texts.values())}; {ids}")
    if labelled.unread:
        own = ", ".join(texts.values())
        tell(
            f"{labelled.unread:,} of the rows without {own} have a text in the column text, which is not read"
            f" beside {own}; to read it, give a table without {own}"
        )
    kept = [own if own == name else f"{own} as {name}" for own, name in labelled.kept.items()]
    if kept:
        tell(f"other columns, kept: {listed(kept)}")
    if labelled.left_out:
        tell(f"columns left out, as they are nested: {listed(labelled.left_out)}")


def _table(
    predictions: Iterable[Mapping[str, Any]], crosswalks: Sequence["Crosswalk"] = (), *, evidence: bool
) -> Table:
    # Words may take several lines, so the numbers are put in the same cell.
    answers = ["labels and evidence"] if evidence else ["labels", "probability of each"]
    table = Table("text", *answers, *(one.name for one in crosswalks))
    for row in predictions:
        labels = ["(no text)"] if row["labels"] is None else row["labels"]
        likely = [f"{row['probabilities'][label]:.2f}" for label in row["labels"] or ()]
        doubt = ["(needs review)"] if row["needs_review"] else []
        if evidence:
            words = [one["text"] for one in row["evidence"] or ()]
            said = [f'{label} {p}: "{why}"' for label, p, why in zip(labels, likely, words, strict=False)]
            cells = [Text("\n".join([*(said or labels), *doubt]))]
        else:
            cells = [Text("\n".join([*labels, *doubt])), Text("\n".join(likely))]
        table.add_row(Text(row["text"] or ""), *cells, *(_classes(row, one) for one in crosswalks))
    return table


def _classes(row: Mapping[str, Any], crosswalk: "Crosswalk") -> Text:
    """A row's classes with their probabilities, and its factor."""
    if row["labels"] is None:
        return Text()
    classes, likely, *factor = (row[column] for column in crosswalk.columns)
    lines = [f"{name} {likely[name]:.2f}" for name in classes]
    if crosswalk.factor:
        lines.append(f"{crosswalk.factor.name} {factor[0]:g}")
    return Text("\n".join(lines))
