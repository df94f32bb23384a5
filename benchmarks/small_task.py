"""Cross-validation of a small custom task: seconds, processor time and quality of two builds.

    python benchmarks/small_task.py --data DATA --baseline ../other/.venv/bin/python --competitor

330 stop reasons of one label each, 30 of each of 11 labels, go through `trialtune crossfit` (MiniLM-L6,
five folds, the defaults) in a separate process, the two builds in turn; medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import psutil
from rich import box
from rich.console import Console
from rich.table import Table
from turns import BASELINE, add_options, competitor, own_environment, print_machine

LABELS, ROWS_EACH = 11, 30
COMMAND = "crossfit task.yaml --data rows.csv --encoder embedded:minilm-l6 --out OUT --json"


def write_task(data: Path, work: Path) -> None:
    """Write `task.yaml` and `rows.csv`."""
    rows = pl.read_parquet(data / "stop_reasons_train.parquet").filter(pl.col("labels").list.len() == 1)
    rows = rows.select("nct_id", "text", label=pl.col("labels").list.first())
    rows = rows.filter(pl.col("text").str.len_chars() > 8).unique("text", maintain_order=True)
    labels = rows["label"].value_counts(sort=True, name="n").sort("n", "label", descending=[True, False])
    chosen = labels.head(LABELS)["label"].to_list()
    pl.concat(rows.filter(label=label).head(ROWS_EACH) for label in chosen).write_csv(work / "rows.csv")
    task = {"name": "small", "kind": "multi_class", "labels": chosen}
    (work / "task.yaml").write_text(json.dumps(task))


def measure(python: Path, work: Path, out: str) -> dict[str, float]:
    """One run: wall and processor seconds, micro-F1."""
    before, started = os.times(), time.perf_counter()
    command = [str(python), "-m", "trialtune", *COMMAND.replace("OUT", out).split()]
    env = own_environment() if out.startswith(BASELINE) else None
    done = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, check=True, env=env)
    after, wall = os.times(), time.perf_counter() - started
    cpu = sum(after[2:4]) - sum(before[2:4])
    return {"wall_s": wall, "cpu_s": cpu, "micro_f1": json.loads(done.stdout)["micro_f1"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of stop_reasons_train.parquet")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    add_options(parser)
    options = parser.parse_args()
    builds = {"trialtune": Path(sys.executable)}
    if options.baseline:
        builds[BASELINE] = options.baseline.absolute()
    busiest, taken = 0.0, {build: [] for build in builds}  # type: tuple[float, dict[str, list[Any]]]
    with tempfile.TemporaryDirectory() as work:
        write_task(options.data, Path(work))
        for turn in range(options.turns):
            for build, python in builds.items():
                busiest = max(busiest, psutil.cpu_percent(interval=1.0))
                with competitor(options.competitor):
                    taken[build].append(measure(python, Path(work), f"{build}-{turn}"))
                print(f"{build}: {taken[build][-1]}", file=sys.stderr)
    rows = {
        build: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        for build, runs in taken.items()
    }
    table = Table("build", "wall s", "CPU s", "micro-F1", box=box.MARKDOWN)
    for build, row in rows.items():
        table.add_row(build, f"{row['wall_s']:.0f}", f"{row['cpu_s']:.0f}", f"{row['micro_f1']:.3f}")
    console = Console(width=110)
    console.print(table)
    print_machine(console, busiest)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
