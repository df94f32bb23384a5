"""The cost of one command from a cold start: seconds, processor time, memory; and what is installed.

    python benchmarks/startup.py
    python benchmarks/startup.py --baseline ../other/.venv/bin/python --json startup.json

Each build makes its own classifier (MiniLM-L6, hardly trained: its speed does not depend on its weights)
and snapshot by its own commands. Then every command is run in a separate process, seven times, the two
builds in turn; the medians are shown. `install_mb` is the base installation, without extras: the space on
disk of the package and of its dependencies. Needs the extras `train` and `embedded`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
from rich import box
from rich.console import Console
from rich.table import Table
from turns import print_machine

from trialtune.experiment.environment import machine, versions

TURNS = 7
COMMANDS = {
    "help": ["--help"],
    "registry-info": ["registry", "info", "snapshot.parquet"],
    "predict-onnx-int8": ["predict", "int8", "Slow accrual, funding ended"],
    "predict-torch": ["predict", "classifier", "Slow accrual, funding ended"],
}
PREPARE = (
    "registry sample --out sample --studies 400",
    "registry import sample/studies.jsonl.gz --out snapshot.parquet",
    "finetune stop-reasons --data snapshot.parquet --labels sample/stop_reasons.parquet"
    " --encoder embedded:minilm-l6 --max-train 50 --set epochs=0.1 --out classifier",
    "export classifier --format onnx-int8 --force --out int8",
)
# A process inherits the peak memory of the one that started it, so a small one starts each.
LAUNCH = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(process.pid, 0)
wall, cpu = time.perf_counter() - began, used.ru_utime + used.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), wall, cpu, used.ru_maxrss * 1024 / 1e6]))
"""
# Run by either build's Python: the megabytes of its package and of what that demands without extras.
INSTALLED = """
import importlib.metadata as metadata, os
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
left, seen, size = ["trialtune"], set(), 0
while left:
    name = canonicalize_name(left.pop())
    if name in seen:
        continue
    seen.add(name)
    found = metadata.distribution(name)
    for file in found.files or []:
        if os.path.isfile(file.locate()):
            size += os.stat(file.locate()).st_blocks * 512
    for line in found.requires or []:
        demand = Requirement(line)
        if demand.marker is None or demand.marker.evaluate({"extra": ""}):
            left.append(demand.name)
print(size / 1e6)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--baseline", type=Path, help="the Python of another build's environment")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    options = parser.parse_args()
    builds = {"trialtune": Path(sys.executable)}
    if options.baseline:
        builds["baseline"] = options.baseline.absolute()
    busiest = psutil.cpu_percent(interval=1.0)
    with tempfile.TemporaryDirectory() as work:
        for build, python in builds.items():
            (Path(work) / build).mkdir()
            for line in PREPARE:
                run(python, line.split(), Path(work) / build)
        rows = [
            {"name": name, "build": build, **figures}
            for name in COMMANDS
            for build, figures in measure(builds, name, Path(work)).items()
        ]
    sizes = {build: installed(python) for build, python in builds.items()}
    for row in rows:
        row["install_mb"] = sizes[row["build"]]
    show(rows, busiest)
    if options.json:
        report = {
            "rows": rows,
            "machine": machine().model_dump(),
            "versions": versions(),
            "foreign_cpu": busiest,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def measure(builds: dict[str, Path], name: str, work: Path) -> dict[str, dict[str, float]]:
    """Medians over the turns of each build: wall and CPU seconds, peak memory (MB)."""
    taken: dict[str, list[dict[str, float]]] = {build: [] for build in builds}
    for _ in range(TURNS):
        for build, python in builds.items():
            taken[build].append(run(python, COMMANDS[name], work / build))
    return {
        build: {key: statistics.median(one[key] for one in turns) for key in turns[0]}
        for build, turns in taken.items()
    }


def run(python: Path, arguments: list[str], folder: Path) -> dict[str, float]:
    """One `trialtune` command in a separate process; stops when it fails."""
    command = [str(python), "-m", "trialtune", *arguments]
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCH, *command], cwd=folder, check=True, capture_output=True, text=True
    )
    code, wall, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    if code:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak}


def installed(python: Path) -> float:
    """Megabytes of a build's base installation."""
    return float(subprocess.run([python, "-c", INSTALLED], check=True, capture_output=True, text=True).stdout)


def show(rows: list[dict[str, Any]], busiest: float) -> None:
    table = Table(box=box.MARKDOWN)
    for header in ("command", "build"):
        table.add_column(header, no_wrap=True)
    for header in ("wall s", "CPU s", "peak MB", "installed MB"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        figures = (f"{row['wall_s']:.2f}", f"{row['cpu_s']:.2f}", f"{row['peak_mb']:,.0f}")
        table.add_row(row["name"], row["build"], *figures, f"{row['install_mb']:,.0f}")
    console = Console(width=110)
    console.print(table)
    for name in COMMANDS:
        ours, *others = [row for row in rows if row["name"] == name]
        for other in others:
            ratios = (f"{ours[key] / other[key]:.2f}" for key in ("cpu_s", "peak_mb", "install_mb"))
            console.print(f"{name}: CPU x{next(ratios)}, memory x{next(ratios)}, installed x{next(ratios)}")
    print_machine(console, busiest)


if __name__ == "__main__":
    main()
