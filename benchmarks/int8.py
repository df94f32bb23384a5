"""Ways to run a classifier on a CPU: speed, and deviation from fp32.

    torch bf16      the original folder
    onnx fp32       `trialtune export --format onnx`
    per tensor      onnxruntime's `quantize_dynamic`: a scale per weight matrix, one for a batch's activations
    per channel     the same with a scale for each output channel of a weight matrix
    trialtune       `--format onnx-int8`: a scale for each output channel, and for each token's activations

The texts are those of stop_reasons_dev.parquet, then real stop reasons for the speed. `alone` is how far an
probability changes when a text is scored alone, not among others. Rows take turns; medians of --turns.
python benchmarks/int8.py --classifier DIR [--json FILE]
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
from onnxruntime.quantization import QuantType, quantize_dynamic
from rich import box
from rich.console import Console
from rich.table import Table
from transformers import logging
from turns import print_machine

from trialtune.classifier.classifier import Classifier
from trialtune.dataset.label_arrays import multi_hot
from trialtune.evaluation.metrics import score
from trialtune.experiment.environment import machine, versions
from trialtune.stages.export import export

ALONE = 100  # texts that are also scored by themselves


def folders(classifier: Path, work: Path) -> dict[str, Path]:
    """A classifier folder for each row."""
    export(classifier, work / "onnx", form="onnx")
    export(classifier, work / "int8", form="onnx-int8", force=True)
    found = {"torch bf16": classifier, "onnx fp32": work / "onnx"}
    for name, per_channel in (("per tensor", False), ("per channel", True)):
        found[name] = work / name.replace(" ", "-")
        shutil.copytree(work / "onnx", found[name])
        quantize_dynamic(
            work / "onnx" / "model.onnx",
            found[name] / "model.onnx",
            op_types_to_quantize=["MatMul"],
            per_channel=per_channel,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
    return found | {"trialtune": work / "int8"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--classifier", type=Path, default=Path("runs/benchmark/classifier"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of stop_reasons_*")
    parser.add_argument("--texts", type=int, default=5000, help="distinct texts to time")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    dev = pl.read_parquet(options.data / "stop_reasons_dev.parquet")
    stream = pl.read_parquet(options.data / "stop_reasons_silver.parquet")["text"].unique(maintain_order=True)
    texts = stream.sample(options.texts, seed=0).to_list()
    busiest = psutil.cpu_percent(interval=1.0)
    with tempfile.TemporaryDirectory() as work:
        exact = Classifier.from_pretrained(options.classifier, precision="fp32")
        expected = exact.raw_probabilities(dev["text"].to_list())
        found = folders(options.classifier, Path(work))
        predictors = {name: Classifier.from_pretrained(folder) for name, folder in found.items()}
        speeds: dict[str, list[float]] = {name: [] for name in predictors}
        for _ in range(options.turns):
            for name, predictor in predictors.items():
                predictor.raw_probabilities(texts[:64])
                started = time.perf_counter()
                predictor.raw_probabilities(texts)
                speeds[name].append(len(texts) / (time.perf_counter() - started))
        rows = []
        for name, predictor in predictors.items():
            rows.append({"name": name, "texts_per_s": statistics.median(speeds[name])})
            rows[-1] |= compared(predictor, dev, expected, exact.decision)
            weights = list(found[name].glob("model.*"))
            rows[-1]["megabytes"] = sum(file.stat().st_size for file in weights) / 1e6
    show(rows, busiest)
    if options.json:
        report = {
            "rows": rows,
            "machine": machine().model_dump(),
            "versions": versions(),
            "foreign_cpu": busiest,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def compared(
    predictor: Classifier, dev: pl.DataFrame, expected: np.ndarray, decision: Any
) -> dict[str, float]:
    """How far answers are from `expected`, from those of texts read alone, and their micro-F1."""
    texts, labels = dev["text"].to_list(), predictor.labels
    given = predictor.raw_probabilities(texts)
    alone = np.concatenate([predictor.raw_probabilities([text]) for text in texts[:ALONE]])
    scores = score(multi_hot(dev["labels"], labels), decision.decide(given), labels, kind=predictor.task.kind)
    return {
        "off_mean": float(np.abs(given - expected).mean()),
        "off_max": float(np.abs(given - expected).max()),
        "alone_max": float(np.abs(given[:ALONE] - alone).max()),
        "micro_f1": scores.micro_f1,
    }


def show(rows: list[dict[str, Any]], busiest: float) -> None:
    table = Table(box=box.MARKDOWN)
    table.add_column("row", no_wrap=True)
    for header in ("texts/s", "MB", "off, mean", "off, max", "alone, max", "micro-F1"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        off = (f"{row[key]:.4f}" for key in ("off_mean", "off_max", "alone_max", "micro_f1"))
        table.add_row(row["name"], f"{row['texts_per_s']:,.0f}", f"{row['megabytes']:,.0f}", *off)
    console = Console(width=110)
    console.print(table)
    print_machine(console, busiest)


if __name__ == "__main__":
    main()
