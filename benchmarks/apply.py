"""Texts per second, peak memory and micro-F1 of one classifier over the registry's stop reasons.

Every row answers the same texts (stop_reasons_silver.parquet: one row per stopped trial, repeats
included) with the same weights, in a separate process, including tokenising, excluding loading:

    padded-177           the reference: PyTorch in fp32, every text padded to 177 tokens, batches of 32
    padded-longest       Open Targets' pipeline: PyTorch in fp32, batches of 32 as they come, padded to
                         the longest of each
    pipeline             the text-classification pipeline of `transformers`, batches of 32
    trialtune-torch      `trialtune apply` with the folder that `trialtune finetune` made
    trialtune-onnx-int8  the same with what `trialtune export --format onnx-int8` made of it
    trialtune-onnx-int8-evidence  the same with the words behind each label (--evidence)

micro_f1 is that of stop_reasons_dev.parquet, answered by the row and decided by the classifier's rule.
Without --classifier, one is fine-tuned from MiniLM on stop_reasons_train.parquet first (some minutes;
stored under runs/benchmark). Run it on an otherwise idle machine; padded-177 alone takes ten minutes:
python benchmarks/apply.py [--classifier DIR] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import torch
from memory import peak_mb
from rich import box
from rich.console import Console
from rich.table import Table
from transformers import logging, pipeline
from turns import print_machine

from trialtune.classifier.classifier import Classifier
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.reading import read_examples
from trialtune.evaluation.decision import Decision
from trialtune.evaluation.metrics import score
from trialtune.experiment.environment import machine, versions
from trialtune.models.encoders import EMBEDDED
from trialtune.models.sequence_classifier import load_classifier
from trialtune.stages.export import export
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task

ROWS = ("padded-177", "padded-longest", "pipeline", "trialtune-torch")
ROWS += ("trialtune-onnx-int8", "trialtune-onnx-int8-evidence")
TASK = load_task("stop-reasons")
PADDED, BATCH = 177, 32
WARM = 2 * BATCH  # texts before the clock starts, which load kernels
Answer = Callable[[Sequence[str]], np.ndarray]  # texts -> probabilities [texts, labels]


def answerer(name: str, classifier: Path, int8: Path) -> Answer:
    """How a row labels texts."""
    if name == "trialtune-onnx-int8-evidence":
        return with_evidence(Classifier.from_pretrained(int8))
    if name.startswith("trialtune"):
        return Classifier.from_pretrained(int8 if name.endswith("int8") else classifier).raw_probabilities
    if name == "pipeline":
        return through_pipeline(classifier)
    return in_batches(classifier, padded=name == "padded-177")


def with_evidence(classifier: Classifier) -> Answer:
    """As `trialtune apply --evidence` scores a shard."""

    def answer(texts: Sequence[str]) -> np.ndarray:
        probabilities = classifier.raw_probabilities(texts)
        classifier.evidence(texts, classifier.decision.apply(probabilities))
        return probabilities

    return answer


def in_batches(classifier: Path, *, padded: bool) -> Answer:
    """Batches of 32 in the order of the texts, padded to 177 tokens or to the longest."""
    model, tokenizer = load_classifier(classifier)

    @torch.inference_mode()
    def answer(texts: Sequence[str]) -> np.ndarray:
        found = []
        for start in range(0, len(texts), BATCH):
            batch = tokenizer(
                list(texts[start : start + BATCH]),
                padding="max_length" if padded else "longest",
                truncation=True,
                max_length=PADDED,
                return_tensors="pt",
            )
            found.append(model(**batch.to(model.device)).logits.sigmoid().cpu().numpy())
        return np.concatenate(found)

    return answer


def through_pipeline(classifier: Path) -> Answer:
    """What the documentation of `transformers` shows."""
    labels = list(TASK.labels)
    classify = pipeline("text-classification", model=str(classifier), top_k=None, batch_size=BATCH)

    def answer(texts: Sequence[str]) -> np.ndarray:
        scored = classify(list(texts), truncation=True, max_length=PADDED)
        rows = ({one["label"]: one["score"] for one in row} for row in scored)
        return np.array([[row[label] for label in labels] for row in rows])

    return answer


def measure(name: str, classifier: Path, int8: Path, data: Path) -> dict[str, Any]:
    """One row: texts/s, peak memory of its process in MB, micro-F1."""
    answer, labels = answerer(name, classifier, int8), list(TASK.labels)
    texts = pl.read_parquet(data / "stop_reasons_silver.parquet")["text"].to_list()
    dev = pl.read_parquet(data / "stop_reasons_dev.parquet")
    answer(texts[:WARM])
    started = time.perf_counter()
    answer(texts)
    seconds = time.perf_counter() - started
    decided = Decision.load(classifier, labels).decide(answer(dev["text"].to_list()))
    return {
        "name": name,
        "texts": len(texts),
        "distinct": len(set(texts)),
        "seconds": seconds,
        "texts_per_s": len(texts) / seconds,
        "peak_mb": peak_mb(),
        "micro_f1": score(multi_hot(dev["labels"], labels), decided, labels, kind=TASK.kind).micro_f1,
    }


def made_classifier(data: Path, out: Path) -> Path:
    """A classifier of stop reasons from MiniLM, trained once and kept."""
    if not (out / "decision.json").is_file():
        print(f"fine-tuning MiniLM into {out} ...", file=sys.stderr)
        rows = data / "stop_reasons_train.parquet"
        quarantine = out.with_name(f"{out.name}.quarantine.jsonl")
        labelled = read_examples(TASK, rows, None, quarantine=quarantine)
        finetune(TASK, labelled.trainable, EMBEDDED, out, settings=FinetuneSettings(method="full"))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--classifier", type=Path, help="a classifier of stop reasons")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of stop_reasons_*")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--row", nargs=2, metavar=("NAME", "INT8"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if options.row:
        name, int8 = options.row
        print(json.dumps(measure(name, options.classifier, Path(int8), options.data)))
        return
    classifier = options.classifier or made_classifier(options.data, Path("runs/benchmark/classifier"))
    rows, busiest = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        int8 = Path(folder) / "int8"
        dev = read_examples(
            TASK,
            options.data / "stop_reasons_dev.parquet",
            None,
            quarantine=Path(folder) / "quarantine.jsonl",
        )
        export(classifier, int8, form="onnx-int8", examples=dev.frame)
        command = [sys.executable, __file__, "--classifier", str(classifier), "--data", str(options.data)]
        for name in options.rows:
            busiest = max(busiest, psutil.cpu_percent(interval=1.0))
            done = subprocess.run([*command, "--row", name, str(int8)], stdout=subprocess.PIPE, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], file=sys.stderr)
    show(rows, busiest)
    if options.json:
        report = {
            "rows": rows,
            "machine": machine().model_dump(),
            "versions": versions(),
            "foreign_cpu": busiest,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def show(rows: list[dict[str, Any]], busiest: float) -> None:
    speeds = {row["name"]: row["texts_per_s"] for row in rows}
    table = Table(box=box.MARKDOWN)
    bases = [name for name in ("padded-177", "padded-longest") if name in speeds]
    table.add_column("row", no_wrap=True)
    for header in ("texts/s", *(f"x {name}" for name in bases), "micro-F1", "peak MB"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        ratios = (f"{row['texts_per_s'] / speeds[name]:.1f}" for name in bases)
        table.add_row(
            row["name"],
            f"{row['texts_per_s']:,.1f}",
            *ratios,
            f"{row['micro_f1']:.4f}",
            f"{row['peak_mb']:,.0f}",
        )
    console = Console(width=110)
    console.print(table)
    console.print(f"{rows[0]['texts']:,} texts, {rows[0]['distinct']:,} of them distinct.")
    print_machine(console, busiest)


if __name__ == "__main__":
    main()
