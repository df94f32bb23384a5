"""Time, peak memory and disk of imports and diffs of registry-sized inputs, and of two peers.

Inputs are made by perturbing real records (see registry_inputs.py), at each size:

    v2 import     `trialtune registry import` of JSON Lines as the API gives them
    AACT import   the same of AACT flat files with the same content
    diff          `trialtune registry diff` of the imported snapshot and a later one: 3% of the trials
                  changed, 2% new, 0.2% removed, unsorted
    pandas        `pandas.json_normalize` and `to_parquet`, at the smallest size only: it flattens the
                  records, and neither checks, cleans nor hashes them
    Polars        `polars.read_ndjson` and `write_parquet`, likewise

Each row is a separate process; its time is that of the call, its memory the most that it and its
workers held together. Everything it writes is removed again. With --baseline, the imports are also done by
another build, in turn on the same inputs: its row comes before ours, whose `ratio` is that of the
records/s. (Snapshots of two builds may have different columns, so diffs are not compared.)
Run it on an otherwise idle machine:
python benchmarks/registry.py [--records 10000 100000 581000] [--baseline PYTHON] [--json FILE]
"""

# ruff: noqa: PLC0415 - the process of a row holds only what the row needs
import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

ROWS = ("v2 import", "AACT import", "diff", "pandas", "Polars")
PEERS = ("pandas", "Polars")
IMPORTS = ("v2 import", "AACT import")
CORES = os.cpu_count() or 1
WHOLE = 581_000  # trials in the registry, 2026
BYTES = 40_000  # disk a trial needs: two inputs, three snapshots, and room
PEER_RECORDS = 10_000  # pandas needs some 100 KB of memory a record


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Do what a row does, once; returns wall and CPU seconds, and how many records it read."""
    call = _CALLS[name](folder)
    started, used = time.perf_counter(), _cpu_seconds()
    records = call()
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": _cpu_seconds() - used,
        "records": records,
    }


def _cpu_seconds() -> float:
    """CPU time of this process and its workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


Call = Callable[[], int]


def _imported(source: Path, out: Path) -> Call:
    try:
        from trialtune.registry.snapshot.build import import_trials
    except ImportError:  # an older baseline
        from trialtune.registry.snapshot import import_source as import_trials

    return lambda: import_trials(source, out, workers=CORES).kept


def import_v2(folder: Path) -> Call:
    return _imported(folder / "v2.jsonl", folder / "snapshot.parquet")


def import_aact(folder: Path) -> Call:
    return _imported(folder / "aact", folder / "aact.parquet")


def diff(folder: Path) -> Call:
    from trialtune.registry.diff import diff_snapshots

    new, base = folder / "later.parquet", folder / "snapshot.parquet"
    return lambda: diff_snapshots(new, base, folder / "diff").total


def with_pandas(folder: Path) -> Call:
    import pandas as pd

    def flatten() -> int:
        with (folder / "v2.jsonl").open(encoding="utf-8") as file:
            frame = pd.json_normalize([json.loads(line) for line in file])
        frame.to_parquet(folder / "pandas.parquet", compression="zstd")
        return len(frame)

    return flatten


def with_polars(folder: Path) -> Call:
    import polars as pl

    def convert() -> int:
        frame = pl.read_ndjson(folder / "v2.jsonl", infer_schema_length=None)
        frame.write_parquet(folder / "polars.parquet", compression="zstd")
        return frame.height

    return convert


_CALLS: dict[str, Callable[[Path], Call]] = dict(
    zip(ROWS, (import_v2, import_aact, diff, with_pandas, with_polars), strict=True)
)
_OUTPUTS = dict(
    zip(ROWS, ("snapshot.parquet", "aact.parquet", "diff", "pandas.parquet", "polars.parquet"), strict=True)
)
_INPUTS = dict(zip(ROWS, ("v2.jsonl", "aact", "snapshot.parquet", "v2.jsonl", "v2.jsonl"), strict=True))


def watched(name: str, folder: Path, python: Path | None = None) -> dict[str, Any]:
    """Run one row in a separate process and sum up the memory of it and its workers 20 times a second."""
    command = [str(python or sys.executable), __file__, "--row", name, str(folder)]
    process = psutil.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Another build is the one that its Python has.
        env={key: value for key, value in os.environ.items() if not python or key != "PYTHONPATH"},
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, _memory(process))
        time.sleep(0.05)
    out, errors = process.communicate()
    if process.returncode:
        return {"error": (errors.strip().splitlines() or ["killed"])[-1]}
    done = json.loads(out.splitlines()[-1])
    return {**done, "peak_mb": peak / 2**20, "disk_mb": _size(folder / _OUTPUTS[name]) / 2**20}


def _memory(process: psutil.Process) -> int:
    """Bytes of a process and its workers; what they share counts once."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += getattr(one.memory_full_info(), "pss", 0) or one.memory_info().rss
    except psutil.Error:  # it ended meanwhile
        return 0
    return total


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def run_size(count: int, folder: Path, *, peers: bool, baseline: Path | None) -> list[dict[str, Any]]:
    """Make the inputs of one size and run every row on them, imports also by the baseline."""
    from registry_inputs import Records, write_aact, write_later, write_v2

    folder.mkdir()
    records = Records()
    write_v2(records, count, folder / "v2.jsonl")
    write_aact(records, count, folder / "aact")
    del records
    rows = []
    for name in ROWS if peers else [name for name in ROWS if name not in PEERS]:
        if name == "diff":
            if not (folder / "snapshot.parquet").is_file():
                continue  # the import failed, and its row says why
            write_later(folder / "snapshot.parquet", folder / "later.parquet")
        if baseline and name in IMPORTS:
            # First, so that the snapshot that stays is ours.
            rows.append(run_row(name, count, folder, baseline))
        rows.append(run_row(name, count, folder))
    shutil.rmtree(folder)
    return rows


def run_row(name: str, count: int, folder: Path, baseline: Path | None = None) -> dict[str, Any]:
    busy = psutil.cpu_percent(interval=1.0)
    row = {"name": name, "size": count, "baseline": baseline is not None, "foreign_cpu": busy}
    row |= {**watched(name, folder, baseline), "input_mb": _size(folder / _INPUTS[name]) / 2**20}
    print(row, file=sys.stderr)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000, WHOLE])
    parser.add_argument("--baseline", type=Path, help="the Python of another build's environment")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--folder", type=Path, help="where the inputs are made (default: the system's)")
    parser.add_argument("--row", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        name, folder = options.row
        print(json.dumps(measure(name, Path(folder))))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        free = shutil.disk_usage(work).free
        if max(options.records) * BYTES > free:
            parser.error(f"{max(options.records):,} records need {max(options.records) * BYTES / 1e9:.0f} GB")
        for count in options.records:
            peers = count == min(options.records) and count <= PEER_RECORDS
            baseline = options.baseline.absolute() if options.baseline else None
            rows += run_size(count, Path(work) / str(count), peers=peers, baseline=baseline)
    report(rows, options.json)


def report(rows: list[dict[str, Any]], out: Path | None) -> None:
    from trialtune.experiment.environment import machine, versions

    console = Console(width=140)
    show(rows, console)
    here = machine().model_dump()
    console.print(f"{here['cpu']}, {here['cores']} cores, {here['memory_gib']} GiB")
    busiest = max(row["foreign_cpu"] for row in rows)
    if busiest > 10:
        console.print(f"Others used up to {busiest:.0f}% of the CPU meanwhile: these numbers are unreliable.")
    for line in verdicts(rows):
        console.print(line, markup=False)
    if out:
        found = {"rows": rows, "machine": here, "versions": versions(), "foreign_cpu": busiest}
        out.write_text(json.dumps(found, indent=2) + "\n")


def show(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table(box=box.MARKDOWN)
    table.add_column("row", no_wrap=True)
    numbers = ("records", "seconds", "CPU s", "records/s", "ratio", "peak MiB", "input MiB", "output MiB")
    for header in (*numbers, "bytes/record"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        cells = [row["name"] + ", baseline" * row["baseline"], f"{row['size']:,}"]
        if "error" in row:
            table.add_row(*cells, "failed")
            continue
        times = (f"{row[key]:,.1f}" for key in ("seconds", "cpu_seconds"))
        sizes = (row["peak_mb"], row["input_mb"], row["disk_mb"], row["disk_mb"] * 2**20 / row["records"])
        rate = f"{_rate(row):,.0f}"
        table.add_row(*cells, *times, rate, _ratio(row, rows), *(f"{size:,.0f}" for size in sizes))
    console.print(table)
    for row in rows:
        if "error" in row:
            console.print(f"{row['name']}, {row['size']:,} records: {row['error']}", markup=False)


def _rate(row: dict[str, Any]) -> float:
    rate: float = row["records"] / row["seconds"]
    return rate


def _ratio(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Our records/s against those of the baseline, if it did the same."""
    same = (other for other in rows if all(other[key] == row[key] for key in ("name", "size")))
    found = next((other for other in same if other["baseline"] and "error" not in other), None)
    return f"{_rate(row) / _rate(found):.2f}" if found and found is not row else ""


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The rows against the targets; those of time and memory are for the whole registry."""
    lines = []
    for name in ROWS[:3]:
        good = [row for row in rows if row["name"] == name and not row["baseline"] and "error" not in row]
        if not good:
            continue
        large, small = good[-1], good[0]
        rate = _rate(large)
        targets = {
            "v2 import": (f"{rate:,.0f} records/s (target 3,000)", rate >= 3_000),
            "AACT import": (f"{large['seconds']:,.0f} s (target 240 for the whole)", large["seconds"] <= 240),
            "diff": (f"{large['seconds']:,.1f} s (target 30 for the whole)", large["seconds"] <= 30),
        }
        result, met = targets[name]
        lean = large["peak_mb"] <= 2048
        lines.append(
            f"{name}, {large['size']:,} records: {result} {_met(met)};"
            f" {large['peak_mb']:,.0f} MiB (target 2,048) {_met(lean)}"
        )
        if large is not small:
            growth = rate / _rate(small)
            lines.append(f"{name}: {growth:.2f} times the records/s of {small['size']:,} records")
    return lines


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    main()
