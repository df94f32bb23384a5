"""Time and peak memory of `trialtune apply` over snapshots of growing size.

A trial's text is a real reason for stopping (stop_reasons_silver.parquet). Beyond the real rows, reasons
come again with two of their words swapped, as many distinct as before, repeats as frequent: 30% of the
registry's reasons are verbatim repeats. Each size is a process of its own; the second row of a size is
the same command over a snapshot in which 1% of the trials are new. Everything it writes is removed
again. Run it on an otherwise idle machine:
python benchmarks/scale.py CLASSIFIER_DIR [--texts 1000 10000 100000 581000] [--json FILE]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table
from turns import peak_mb

from trialtune.registry.parquet import SnapshotWriter
from trialtune.registry.records import SNAPSHOT_SCHEMA

WHOLE = 581_000  # trials in the registry, 2026
_CHUNK = 10_000


def reasons(real: list[str], count: int, seed: int = 13) -> Iterator[str]:
    """`count` reasons: the real rows, then the same rows with two words of each distinct text swapped."""
    for turn in range(-(-count // len(real))):
        for text in real[: count - turn * len(real)]:
            yield _swapped(text, f"{seed} {turn} {text}") if turn else text


def write_snapshot(path: Path, real: list[str], count: int, *, new: int = 0) -> None:
    """A snapshot of `count` stopped trials; the last `new` have reasons that no smaller one has."""
    empty = {field.name: None for field in SNAPSHOT_SCHEMA}
    with SnapshotWriter(path, {"data_timestamp": "2026-01-01T00:00:00Z"}) as writer:
        rows: list[dict[str, Any]] = []
        for number, text in enumerate(reasons(real, count)):
            reason = f"{text} ({number})" if number >= count - new else text
            day = f"{2005 + number % 20}-01-01"
            rows.append(
                {
                    **empty,
                    "nct_id": f"NCT{number:08d}",
                    "why_stopped": reason,
                    "start_date": day,
                    "phases": [],
                }
            )
            if len(rows) == _CHUNK or number == count - 1:
                writer.add(pa.Table.from_pylist(rows, schema=SNAPSHOT_SCHEMA))
                rows = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("classifier", type=Path)
    parser.add_argument("--texts", type=int, nargs="+", default=[1_000, 10_000, 100_000, WHOLE])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.classifier, *chosen.measure)))
        return
    real = pl.read_parquet(chosen.data / "stop_reasons_silver.parquet")["text"].drop_nulls().to_list()
    rows = []
    for count in chosen.texts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_snapshot(folder / "snapshot.parquet", real, count)
            write_snapshot(folder / "later.parquet", real, count, new=count // 100)
            for told, snapshot in (("first", "snapshot.parquet"), ("1% new", "later.parquet")):
                rows.append({"name": told, "trials": count, **measured(chosen, folder, snapshot)})
                Console(stderr=True).print(rows[-1])
    show(rows)
    if chosen.json:
        chosen.json.write_text(json.dumps({"rows": rows, "cores": psutil.cpu_count()}, indent=2) + "\n")


def measured(chosen: argparse.Namespace, folder: Path, snapshot: str) -> dict[str, Any]:
    """`measure` in a process of its own, with the CPU share (%) that others took meanwhile."""
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
    from trialtune.stages.apply import ApplySettings, apply  # noqa: PLC0415 - only where it is measured

    started, used = time.perf_counter(), time.process_time()
    summary = apply(classifier, snapshot, out, settings=ApplySettings())
    return {
        "seconds": time.perf_counter() - started,
        "cpu_s": time.process_time() - used,
        "whole_cpu_s": time.process_time(),
        "peak_mb": peak_mb(),
        "distinct": summary["distinct_texts"],
        "scored": summary["scored"],
    }


def show(rows: list[dict[str, Any]]) -> None:
    console = Console(highlight=False)
    table = Table(box=box.MARKDOWN)
    headers = ("run", "trials", "distinct texts", "scored", "seconds", "CPU s", "texts/s", "peak MiB")
    for header in headers:
        table.add_column(header, justify="left" if header == "run" else "right")
    for row in rows:
        counts = (f"{row[key]:,}" for key in ("trials", "distinct", "scored"))
        times = (f"{row['seconds']:,.1f}", f"{row['cpu_s']:,.1f}", f"{row['scored'] / row['seconds']:,.0f}")
        table.add_row(row["name"], *counts, *times, f"{row['peak_mb']:,.0f}")
    console.print(table)
    busiest = max(row["foreign_cpu"] for row in rows)
    if busiest > 10:
        console.print(f"Others used up to {busiest:.0f}% of the CPU meanwhile: do not trust the seconds.")
    last = [row for row in rows if row["name"] == "first"][-1]
    hours = last["seconds"] / last["trials"] * WHOLE / 3600
    console.print(f"{hours:.2f} hours for {WHOLE:,} trials, each with a text, at the last rate.")


def _swapped(text: str, seed: str) -> str:
    words = text.split()
    if len(words) < 3:
        return f"{text} {words[0] if words else ''}".strip() if random.Random(seed).random() < 0.5 else text
    first, second = random.Random(seed).sample(range(len(words)), 2)
    words[first], words[second] = words[second], words[first]
    return " ".join(words)


if __name__ == "__main__":
    main()
