"""Classes that are not the shipped ones: what the methods of `trialtune finetune` make of few rows.

    python benchmarks/other_codes.py methods --data DATA      # cross-validated scores of each method
    python benchmarks/other_codes.py definitions --data DATA  # with the classes defined, and by name alone
    python benchmarks/other_codes.py seen --data DATA         # texts that the shipped classifier has seen
    python benchmarks/other_codes.py methods --table MINE.csv # your own table, its task's .yaml beside it

Three ways to sort stop reasons stand in for other people's: `weak`, the ten most common answers of Open
Targets' classifier of 2021 and a rest (its answers agree with hand labels to a micro-F1 of 0.70, so that
none can reach 1); `keywords`, the first of a list of keyword rules that fits; `super-classes`, Open Targets'
super-class of the first hand label. All rows but those of `stop_reasons_dev` are among the texts on which
the shipped classifier was trained, with labels of its own.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from trialtune.classifier.classifier import Classifier
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.reading import read_examples
from trialtune.evaluation.metrics import score
from trialtune.models.bundled import EMBEDDED
from trialtune.stages.cross_validate import cross_validate
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task, task_from_spec
from trialtune.tasks.crosswalk import load_crosswalk
from trialtune.tasks.spec import TaskSpec
from trialtune.tasks.task import Task

SHIPPED = load_task("stop-reasons")
OTHER = "other"
COMMON = 10  # classes of their own; the rest is one


def weak(rows: pl.DataFrame) -> pl.Series:
    """One label a text by Open Targets' classifier of 2021."""
    return rows["weak_label"]


def keywords(rows: pl.DataFrame) -> pl.Series:
    """The first label, in the task's order, one of whose keywords a text has."""
    assert SHIPPED.keywords is not None
    rules = SHIPPED.keywords
    return pl.Series(
        [
            next((label for label in SHIPPED.labels if rules[label].search(text)), OTHER)
            for text in rows["text"]
        ]
    )


def super_classes(rows: pl.DataFrame) -> pl.Series:
    """Open Targets' super-class of the first hand label."""
    crosswalk = load_crosswalk("open_targets")
    return pl.Series([crosswalk.labels[labels[0]].target for labels in rows["labels"]])


CODES: dict[str, Callable[[pl.DataFrame], pl.Series]] = {
    "weak": weak,
    "keywords": keywords,
    "super-classes": super_classes,
}


def coded(data: Path, codes: str, file: str = "stop_reasons_train") -> pl.DataFrame:
    """Rows of `nct_id`, `text`, `labels`: one label each, of those that are common in the training rows."""
    training, rows = (pl.read_parquet(data / f"{name}.parquet") for name in ("stop_reasons_train", file))
    common = CODES[codes](training).value_counts(sort=True).to_series()
    kept = set(common.head(COMMON) if codes == "weak" else common)
    labels = [[label if label in kept else OTHER] for label in CODES[codes](rows)]
    return rows.select("nct_id", "text").with_columns(labels=pl.Series(labels))


def task_of(rows: pl.DataFrame, *, defined: bool) -> Task:
    """The task of these classes; those that bear a shipped label's name may have its definition."""
    classes = load_crosswalk("open_targets").classes
    definitions = {**classes, **SHIPPED.labels, OTHER: "None of the others."}
    names = rows["labels"].explode().unique().sort().to_list()
    labels: Any = {name: definitions[name] for name in names} if defined else names
    return task_from_spec(TaskSpec(name="codes", kind="multi_class", labels=labels, max_length=96))


def cross_validated(task: Task, rows: pl.DataFrame, told: dict[str, Any]) -> dict[str, Any]:
    """Five-fold scores of a method, and the seconds of a fold."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        settings = FinetuneSettings.model_validate(told)
        found = cross_validate(task, rows, EMBEDDED, out, settings=settings)
        seconds = (time.perf_counter() - start) / 5
    return {"micro-F1": found.micro_f1, "macro-F1": found.macro_f1, "s a fold": seconds}


def methods(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    if options.table:
        task = load_task(str(options.table.with_suffix(".yaml")))
        with tempfile.TemporaryDirectory() as out:
            rows = read_examples(task, options.table, None, quarantine=Path(out) / "q.jsonl").trainable
        sets = [(options.table.stem, task, rows)]
    else:
        sets = [
            (name, task_of(rows, defined=True), rows)
            for name in options.codes.split(",")
            for size in options.sizes
            for rows in [coded(options.data, name).sample(size, seed=5)]
        ]
    for name, task, rows in sets:
        for method in options.methods.split(","):
            told = {"method": method} | ({"epochs": options.epochs} if method == "full" else {})
            yield {"codes": name, "rows": len(rows), "method": method} | cross_validated(task, rows, told)


def definitions(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for name in options.codes.split(","):
        for size in options.sizes:
            rows = coded(options.data, name).sample(size, seed=5)
            for defined in (True, False):
                found = cross_validated(task_of(rows, defined=defined), rows, {"method": "shipped"})
                yield {"codes": name, "rows": size, "classes": "defined" if defined else "named"} | found


def seen(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Trained on seen rows; scored on other seen ones, and on those of `stop_reasons_dev`, which are not."""
    for name in options.codes.split(","):
        known, new = coded(options.data, name), coded(options.data, name, "stop_reasons_dev")
        task = task_of(known, defined=True)
        for method in options.methods.split(","):
            for size in options.sizes:
                drawn = known.sample(size + 2000, shuffle=True, seed=5)
                with tempfile.TemporaryDirectory() as folder:
                    settings = FinetuneSettings.model_validate({"method": method})
                    finetune(task, drawn.head(size), EMBEDDED, Path(folder) / "c", settings=settings)
                    classifier = Classifier.from_pretrained(Path(folder) / "c")
                    row = {"codes": name, "method": method, "rows": size}
                    for part, scored in (("seen", drawn.tail(2000)), ("new", new)):
                        said = classifier.decide(scored["text"].to_list()).labels
                        gold = multi_hot(scored["labels"], list(task.labels))
                        found = score(gold, said, list(task.labels), kind=task.kind)
                        row |= {f"micro-F1, {part}": found.micro_f1, f"macro-F1, {part}": found.macro_f1}
                yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["methods", "definitions", "seen"])
    parser.add_argument("--data", type=Path, help="folder of stop_reasons_train and _dev.parquet")
    parser.add_argument("--table", type=Path, help="your own rows instead; its task's .yaml lies beside it")
    parser.add_argument("--codes", default=",".join(CODES))
    parser.add_argument("--sizes", type=lambda given: [*map(int, given.split(","))], default=[330])
    parser.add_argument("--methods", default="tf-idf,shipped,auto")
    parser.add_argument("--epochs", type=float, default=8, help="of --method full")
    options = parser.parse_args()
    console, table = Console(width=110), None
    for row in {"methods": methods, "definitions": definitions, "seen": seen}[options.what](options):
        print(row, flush=True)
        table = table or Table(*row, box=box.MARKDOWN)
        table.add_row(
            *(
                f"{value:.3f}"
                if isinstance(value, float)
                else f"{value:,}"
                if isinstance(value, int)
                else value
                for value in row.values()
            )
        )
    console.print(table)


if __name__ == "__main__":
    main()
