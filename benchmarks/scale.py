"""Time and peak memory of `trialtune apply` over snapshots of growing size.

A classifier of stop reasons reads real ones (stop_reasons_silver.parquet, one row per stopped trial), one
of sex eligibility real trials (trials.parquet). Beyond the real rows they are repeated with two words of
the reason, or of the title, swapped; short reasons have few such variants, so more and more repeat.
Each size is a separate process; the second row of a size is the same command over a snapshot in
which 1% of the trials are new. Everything it writes is removed again. Run it on an otherwise idle machine:
python benchmarks/scale.py CLASSIFIER_DIR [--trials 1000 10000 100000 581000] [--json FILE]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pyarrow as pa
from memory import peak_mb
from rich import box
from rich.console import Console
from rich.table import Table
from turns import print_machine

from trialtune.classifier.named import open_folder
from trialtune.experiment.environment import machine, versions
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.snapshot.write import SnapshotWriter

WHOLE = 581_000  # trials in the registry, 2026
_CHUNK = 10_000


def real_rows(task: str, data: Path, work: Path) -> tuple[list[dict[str, Any]], str]:
    """Real snapshot rows of a task, and the column whose words may be swapped."""
    empty = dict.fromkeys(SNAPSHOT_SCHEMA.names)
    if task == "stop-reasons":
        texts = pl.read_parquet(data / "stop_reasons_silver.parquet")["text"].drop_nulls()
        return [{**empty, "why_stopped": text} for text in texts], "why_stopped"
    import_trials(data / "trials.parquet", work / "real.parquet")
    return pl.read_parquet(work / "real.parquet").to_dicts(), "brief_title"


def write_snapshot(path: Path, real: list[dict[str, Any]], column: str, count: int, *, new: int = 0) -> None:
    """A snapshot of `count` trials; the last `new` have texts that no smaller one has."""
    with SnapshotWriter(path, {"data_timestamp": "2026-01-01T00:00:00Z"}) as writer:
        rows: list[dict[str, Any]] = []
        for number in range(count):
            turn, place = divmod(number, len(real))
            row = real[place] | {"nct_id": f"NCT{number:08d}", "start_date": f"{2005 + number % 20}-01-01"}
            if turn:
                row[column] = _swapped(row[column] or "", str(turn))
            if number >= count - new:
                row[column] = f"{row[column]} ({number})"
            rows.append(row)
            if len(rows) == _CHUNK or number == count - 1:
                writer.add(pa.Table.from_pylist(rows, schema=SNAPSHOT_SCHEMA))
                rows = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("classifier", type=Path)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000, 100_000, WHOLE])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real trials")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.classifier, *chosen.measure)))
        return
    task, rows = open_folder(chosen.classifier).task.name, []
    for count in chosen.trials:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            real, column = real_rows(task, chosen.data, folder)
            write_snapshot(folder / "snapshot.parquet", real, column, count)
            write_snapshot(folder / "later.parquet", real, column, count, new=count // 100)
            for label, snapshot in (("first", "snapshot.parquet"), ("1% new", "later.parquet")):
                rows.append({"name": label, "trials": count, **measured(chosen, folder, snapshot)})
                print(rows[-1], file=sys.stderr)
    busiest = max(row["foreign_cpu"] for row in rows)
    show(task, rows, busiest)
    if chosen.json:
        report = {
            "rows": rows,
            "machine": machine().model_dump(),
            "versions": versions(),
            "foreign_cpu": busiest,
        }
        chosen.json.write_text(json.dumps(report, indent=2) + "\n")


def measured(chosen: argparse.Namespace, folder: Path, snapshot: str) -> dict[str, Any]:
    """`measure` in a separate process, with the CPU share (%) that others took meanwhile."""
    command = [sys.executable, __file__, str(chosen.classifier)]
    command += ["--measure", str(folder / snapshot), str(folder / "out")]
    before, started = psutil.cpu_times(), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after, elapsed = psutil.cpu_times(), time.perf_counter() - started
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    busy = sum(getattr(after, kind) - getattr(before, kind) for kind in ("user", "nice", "system"))
    row["foreign_cpu"] = max(0.0, 100 * (busy - row["whole_cpu_s"]) / elapsed / (os.cpu_count() or 1))
    return row


def measure(classifier: Path, snapshot: Path, out: Path) -> dict[str, Any]:
    """One `apply`: wall and CPU seconds of the call, peak memory of the process (MiB), texts scored."""
    from trialtune.stages.apply import label_registry  # noqa: PLC0415 - only where it is measured

    started, used = time.perf_counter(), cpu_seconds()
    summary = label_registry(classifier, snapshot, out).model_dump()
    return {
        "seconds": time.perf_counter() - started,
        "cpu_s": cpu_seconds() - used,
        "whole_cpu_s": cpu_seconds(),
        "peak_mb": peak_mb(),
        "distinct": summary["distinct_texts"],
        "scored": summary["scored"],
    }


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for, since their start."""
    return sum(os.times()[:4])


def show(task: str, rows: list[dict[str, Any]], busiest: float) -> None:
    console = Console(highlight=False, width=110)
    table = Table(box=box.MARKDOWN)
    headers = ("run", "trials", "distinct texts", "scored", "seconds", "CPU s", "texts/s", "peak MiB")
    for header in headers:
        table.add_column(header, justify="left" if header == "run" else "right")
    for row in rows:
        counts = (f"{row[key]:,}" for key in ("trials", "distinct", "scored"))
        times = (f"{row['seconds']:,.1f}", f"{row['cpu_s']:,.1f}", f"{row['scored'] / row['seconds']:,.0f}")
        table.add_row(row["name"], *counts, *times, f"{row['peak_mb']:,.0f}")
    console.print(table)
    last = [row for row in rows if row["name"] == "first"][-1]
    hours = last["seconds"] / last["trials"] * WHOLE / 3600
    console.print(f"{task}: {hours:.2f} hours for {WHOLE:,} trials, each with a text, at the last rate.")
    print_machine(console, busiest)


def _swapped(text: str, turn: str) -> str:
    """`text` with two words swapped, equal texts alike, so that repeats stay repeats."""
    words, draw = text.split(), random.Random(f"{turn} {text}")
    if len(words) < 3:
        return f"{text} {words[0] if words else ''}".strip() if draw.random() < 0.5 else text
    first, second = draw.sample(range(len(words)), 2)
    words[first], words[second] = words[second], words[first]
    return " ".join(words)


if __name__ == "__main__":
    main()
