"""Classifiers from few labels: draws of stop reasons, each method trained on them and scored on others.

Rows are nested: 300 of a draw hold its 100. Every run is a separate process: `wall s` and `peak MB` are
those of choosing, training and writing, without scoring. `scikit-learn` is what a user would write in
twenty lines: TF-IDF of words and characters, logistic regression, 0.5. Others are methods of
`trialtune finetune`. SetFit runs with --setfit, the Python of an environment that has it (setfit 1.2
wants transformers 4): --setfit ../setfit/bin/python. The shipped classifier was trained on the very rows
that are drawn here, with these labels: other_codes.py measures other labels.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from memory import peak_mb
from rich import box
from rich.console import Console
from rich.table import Table

from trialtune.classifier.classifier import Classifier
from trialtune.dataset.label_arrays import multi_hot
from trialtune.evaluation.metrics import score
from trialtune.models.bundled import EMBEDDED, embedded_folder
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task

TASK = load_task("stop-reasons")
LABELS = list(TASK.labels)
METHODS = ("scikit-learn", "tf-idf", "read-out", "shipped", "full", "auto", "setfit")
ITERATIONS = 20  # of SetFit: contrastive pairs a row, two ways each


def drawn(data: Path, size: int, draw: int) -> pl.DataFrame:
    rows = pl.read_parquet(data / "stop_reasons_train.parquet").select("nct_id", "text", "labels")
    return rows.sample(fraction=1, shuffle=True, seed=draw).head(size)


def by_scikit_learn(rows: pl.DataFrame, test: pl.DataFrame) -> tuple[np.ndarray, float]:
    """TF-IDF and logistic regression as in a user's script."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - not in other runs
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.multiclass import OneVsRestClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline, make_union  # noqa: PLC0415

    start = time.perf_counter()
    model = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True),
        ),
        OneVsRestClassifier(LogisticRegression(C=100, max_iter=1000)),
    )
    gold = multi_hot(rows["labels"], LABELS)
    model.fit(rows["text"].to_list(), gold.astype(int))
    seconds = time.perf_counter() - start
    return model.predict(test["text"].to_list()).astype(bool), seconds


def by_setfit(rows: pl.DataFrame, test: pl.DataFrame, python: str) -> tuple[np.ndarray, float, float]:
    """SetFit on the same encoder, in its own environment: its predictions, seconds, peak MB."""
    with tempfile.TemporaryDirectory() as name:
        given, answered = Path(name) / "given.json", Path(name) / "answered.json"
        given.write_text(
            json.dumps(
                {
                    "encoder": str(embedded_folder(EMBEDDED)),
                    "labels": LABELS,
                    "kind": TASK.kind,
                    "iterations": ITERATIONS,
                    "train": rows.select("text", "labels").rows(),
                    "test": test.select("text", "labels").rows(),
                }
            )
        )
        script = Path(__file__).with_name("few_labels_setfit.py")
        subprocess.run([python, str(script), str(given), str(answered)], check=True, stdout=sys.stderr)
        found = json.loads(answered.read_text())
    return multi_hot(found["said"], LABELS), found["seconds"], found["peak_mb"]


def one(options: argparse.Namespace) -> dict[str, Any]:
    """Train by one method on one draw, and score it."""
    method, size = options.run[0].rsplit(" ", 1)
    rows = drawn(options.data, int(size), int(options.run[1]))
    test = pl.read_parquet(options.data / "stop_reasons_dev.parquet")
    memory, chosen = 0.0, ""
    if method == "scikit-learn":
        said, seconds = by_scikit_learn(rows, test)
    elif method == "setfit":
        said, seconds, memory = by_setfit(rows, test, options.setfit)
    else:
        with tempfile.TemporaryDirectory() as name:
            start = time.perf_counter()
            settings = FinetuneSettings.model_validate({"method": method})
            result = finetune(TASK, rows, EMBEDDED, Path(name) / "c", settings=settings)
            seconds, memory = time.perf_counter() - start, peak_mb()
            classifier = Classifier.from_pretrained(Path(name) / "c")
            said = classifier.decide(test["text"].to_list()).labels
            chosen = f"{result.method}: {result.encoder}"
    found = score(multi_hot(test["labels"], LABELS), said, LABELS, kind=TASK.kind)
    return {
        "micro_f1": found.micro_f1,
        "macro_f1": found.macro_f1,
        "seconds": seconds,
        "peak_mb": memory or peak_mb(),
        "chosen": chosen,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of stop_reasons_train and _dev.parquet")
    parser.add_argument("--sizes", default="100,300,1000")
    parser.add_argument("--methods", default="scikit-learn,tf-idf,shipped,auto")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--setfit", metavar="PYTHON", help="of an environment that has setfit")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--run", nargs=2, metavar=("METHOD SIZE", "DRAW"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(one(options)))
        return
    from turns import in_turns, print_machine  # noqa: PLC0415 - PyTorch would count as theirs

    methods = [*filter(None, options.methods.split(",")), *(["setfit"] if options.setfit else [])]
    names = [f"{method} {size}" for size in options.sizes.split(",") for method in methods]
    again = ["--setfit", options.setfit] if options.setfit else []
    command = [__file__, "--data", str(options.data), *again, "--run"]
    measured, busiest = in_turns(command, names, options.draws)
    table = Table("labels", "method", "micro-F1", "macro-F1", "lowest", "wall s", "peak MB", box=box.MARKDOWN)
    for name, runs in measured.items():
        method, size = name.rsplit(" ", 1)
        values = {key: [run[key] for run in runs] for key in ("micro_f1", "macro_f1", "seconds", "peak_mb")}
        table.add_row(
            size,
            method,
            f"{np.mean(values['micro_f1']):.3f}",
            f"{np.mean(values['macro_f1']):.3f}",
            f"{min(values['macro_f1']):.3f}",
            f"{np.median(values['seconds']):.0f}",
            f"{max(values['peak_mb']):,.0f}",
        )
    console = Console(width=110)
    console.print(table)
    tested = len(pl.read_parquet(options.data / "stop_reasons_dev.parquet"))
    console.print(f"{options.draws} draws, scored on {tested} reasons; MiniLM-L6")
    print_machine(console, busiest)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
