"""Which settings of `trialtune finetune` suit a task: the same rows cross-validated, once per choice.

Every choice differs from `plain`, the settings of the shipped recipe for this encoder, in what its name
says, and scores every row by a classifier that was trained without it. `three seeds` is the mean of
three plain classifiers' probabilities, what a distilled one could learn from. The interval of a
difference is that of a paired bootstrap over rows. Rows already scored are kept in --out, so a killed
run resumes: python benchmarks/finetune_choices.py --data train.parquet --out choices/ [--json FILE]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from transformers import logging
from turns import print_machine

from trialtune.classifier.prediction import probabilities_of
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.reading import read_examples
from trialtune.evaluation.intervals import compare
from trialtune.models.encoders import EMBEDDED
from trialtune.stages.cross_validate import cross_validate
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task

TASK = load_task("stop-reasons")
LABELS = list(TASK.labels)
PLAIN: dict[str, Any] = {"method": "full", "epochs": 3, "batch_size": 64, "learning_rate": 3e-4}
CHOICES: dict[str, dict[str, Any]] = {
    "plain": {},
    "loss=weighted": {"loss": "weighted"},
    "loss=focal": {"loss": "focal"},
    "loss=asymmetric": {"loss": "asymmetric"},
    "layerwise_lr_decay=0.8": {"layerwise_lr_decay": 0.8},
    "head_lr_multiplier=1": {"head_lr_multiplier": 1.0},
    "method=lora": {"method": "lora", "learning_rate": 1e-3},
    "plain, seed 2": {"seed": 2},
    "plain, seed 3": {"seed": 3},
}


def out_of_fold(rows: pl.DataFrame, choice: dict[str, Any], out: Path, folds: int) -> pl.DataFrame:
    """`rows`, in their own order, with out-of-fold predictions of a choice."""
    settings = FinetuneSettings(**PLAIN | choice)
    cross_validate(TASK, rows, EMBEDDED, out, settings=settings, folds=folds)
    scored = pl.read_parquet(out / "out_of_fold.parquet")
    return rows.select("text").join(scored, on="text", how="left", maintain_order="left")


def three_seeds(scored: dict[str, pl.DataFrame]) -> np.ndarray:
    """The mean probabilities of the three plain runs [rows, labels]."""
    runs = [frame for name, frame in scored.items() if name.startswith("plain")]
    mean = np.mean([probabilities_of(frame) for frame in runs], axis=0)
    return (mean >= 0.5) | (mean == mean.max(axis=1, keepdims=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="labelled stop reasons: text and labels")
    parser.add_argument("--out", type=Path, required=True, help="folder of the scored rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--rows", type=int, default=4500, help="drawn at random, as common as in the data")
    parser.add_argument("--folds", type=int, default=3)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    labelled = read_examples(TASK, options.data, None, quarantine=options.out / "quarantine.jsonl").trainable
    labelled = labelled.unique("text", maintain_order=True)
    rows = labelled.sample(min(options.rows, len(labelled)), seed=0)
    scored = {}
    for name, choice in CHOICES.items():
        print(f"{name} ...", flush=True)
        scored[name] = out_of_fold(rows, choice, options.out / name.replace(" ", ""), options.folds)
    predicted = {name: multi_hot(frame["labels"], LABELS) for name, frame in scored.items()}
    predicted["three seeds"] = three_seeds(scored)
    gold = multi_hot(rows["labels"], LABELS)
    table = Table("choice", "micro-F1", "macro-F1", "macro-F1 against plain", box=box.MARKDOWN)
    results = []
    for name, said in predicted.items():
        compared = compare(gold, [predicted["plain"]], [said], LABELS, kind=TASK.kind)
        system, difference = compared.systems.adapted, compared.difference.macro_f1
        interval = {"mean": difference.mean, "low": difference.low, "high": difference.high}
        row = {"name": name, "micro_f1": system.micro_f1, "macro_f1": system.macro_f1, **interval}
        results.append(row)
        against = "" if name == "plain" else "{mean:+.3f} [{low:+.3f}, {high:+.3f}]".format(**interval)
        table.add_row(name, f"{row['micro_f1']:.3f}", f"{row['macro_f1']:.3f}", against)
    console = Console(width=110)
    console.print(table)
    console.print(f"{len(rows):,} rows in {options.folds} folds, {EMBEDDED}, {PLAIN}")
    print_machine(console, 0.0)
    if options.json:
        options.json.write_text(json.dumps({"rows": results, "settings": PLAIN}, indent=2) + "\n")


if __name__ == "__main__":
    main()
