"""The shipped stop-reason classifier compared with larger ones: texts per second, size on disk, scores.

Every row answers the same texts, 25,174 stop reasons with repeats, as `trialtune predict` and `apply` do, in
int8 by onnxruntime, in turns; medians. The larger encoders have a new head, since speed does not depend on
weights, so they have no scores here. `first label` is one text labelled in a separate process.

python benchmarks/shipped.py --data ../shared/data [--larger embedded:mpnet-base] [--json FILE]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from turns import print_machine

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.folder import write_classifier_folder
from trialtune.evaluation.decision import Decision
from trialtune.experiment.environment import machine, versions
from trialtune.files import write_json
from trialtune.interop.open_targets import predict_trial_stop_reasons
from trialtune.models.encoders import EMBEDDED, Encoder
from trialtune.models.sequence_classifier import build_classifier
from trialtune.stages.export import export
from trialtune.tasks.catalog import load_task

TASK = load_task("stop-reasons")
LABELS = tuple(TASK.labels)
WARM = 500
HALVING = {"Negative", "Safety_Sideeffects"}


def exported(name: str, folder: Path) -> Path:
    """An int8 classifier on an encoder, with a new head."""
    encoder = Encoder.open(name)
    model = build_classifier(encoder, LABELS, kind=TASK.kind, seed=1)
    decision = Decision(TASK.kind, LABELS, (0.5,) * len(LABELS))
    (folder / "plain").mkdir(parents=True)
    write_classifier_folder(folder / "plain", model, encoder.tokenizer, task=TASK, decision=decision)
    export(folder / "plain", folder / "int8", form="onnx-int8", force=True)
    return folder / "int8"


def first_label(name: str) -> dict[str, float]:
    """CPU-seconds of a process that labels one text (memory: `startup.py`)."""
    command = [sys.executable, "-m", "trialtune", "predict", name, "Slow accrual, funding ended"]
    done = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(done.pid, 0)
    assert status == 0, f"{command} failed"
    return {"first_cpu_s": used.ru_utime + used.ru_stime}


def halving(classifier: Classifier, dev: pl.DataFrame) -> dict[str, float]:
    """Precision and recall of whether one of the labels that halve a trial's evidence is given."""
    found = predict_trial_stop_reasons(dev["text"], classifier=classifier)
    given = [HALVING.isdisjoint(labels) for labels in found]
    true = [HALVING.isdisjoint(labels) for labels in dev["labels"]]
    both = sum(not one and not other for one, other in zip(given, true, strict=True))
    return {"precision": both / given.count(False), "recall": both / true.count(False)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of stop_reasons_*.parquet")
    parser.add_argument("--larger", nargs="*", default=[], help="other encoders, in addition to MiniLM-L6")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    options = parser.parse_args()
    texts = pl.read_parquet(options.data / "stop_reasons_silver.parquet")["text"].to_list()
    with tempfile.TemporaryDirectory() as aside:
        names = {"shipped": "stop-reasons"}
        for number, encoder in enumerate((EMBEDDED, *options.larger)):
            names[encoder] = str(exported(encoder, Path(aside) / str(number)))
        opened = {row: Classifier.from_pretrained(name) for row, name in names.items()}
        speeds: dict[str, list[float]] = {row: [] for row in names}
        for _ in range(options.turns):
            for row, classifier in opened.items():
                classifier.raw_probabilities(texts[:WARM])
                started = time.perf_counter()
                classifier.raw_probabilities(texts)
                speeds[row].append(len(texts) / (time.perf_counter() - started))
        rows: dict[str, dict[str, Any]] = {}
        for row, classifier in opened.items():
            cold = [first_label(names[row]) for _ in range(options.turns)]
            rows[row] = {
                "texts_per_s": statistics.median(speeds[row]),
                "megabytes": (classifier.folder / "model.onnx").stat().st_size / 1e6,
                **{key: statistics.median(one[key] for one in cold) for key in cold[0]},
            }
        dev = pl.read_parquet(options.data / "stop_reasons_dev.parquet")
        scores = opened["shipped"].evaluate(dev, drop_overlap=True)
        flag = halving(opened["shipped"], dev)
    rows["shipped"] |= {"micro_f1": scores.micro_f1, "macro_f1": scores.macro_f1, "ece": scores.ece, **flag}
    table = Table(box=box.MARKDOWN)
    for header in ("row", "texts/s", "ratio", "MB", "first label, CPU s", "micro-F1", "macro-F1"):
        table.add_column(header, justify="left" if header == "row" else "right", no_wrap=True)
    for name, row in rows.items():
        found = [f"{row[key]:.3f}" if key in row else "" for key in ("micro_f1", "macro_f1")]
        ratio = rows["shipped"]["texts_per_s"] / row["texts_per_s"]
        cells = [f"{row['texts_per_s']:,.0f}", f"{ratio:.2f}", f"{row['megabytes']:.1f}"]
        table.add_row(name, *cells, f"{row['first_cpu_s']:.2f}", *found)
    console = Console(width=110)
    console.print(table)
    shipped = rows["shipped"]
    console.print(
        f"stop_reasons_dev: calibration error {shipped['ece']:.3f}; Negative or Safety_Sideeffects, which"
        f" halve a trial's evidence at Open Targets: precision {shipped['precision']:.3f},"
        f" recall {shipped['recall']:.3f}"
    )
    print_machine(console, 0)
    if options.json:
        found = {"rows": rows, "machine": machine().model_dump(), "versions": versions()}
        write_json(options.json, found)


if __name__ == "__main__":
    main()
