"""Runs the rows of a benchmark in separate processes, in turns, and describes the machine."""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from rich.console import Console

from trialtune.experiment.environment import machine
from trialtune.training.throughput import matmul_peak

Results = dict[str, list[dict[str, Any]]]
BASELINE = "baseline"  # the row of another build


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--baseline", type=Path, help="the Python of another build's environment")
    parser.add_argument("--competitor", action="store_true", help="keep one core busy meanwhile")


def own_environment() -> dict[str, str]:
    """The environment of another build: without this one's packages and variables."""
    ours = ("PYTHONPATH", "GOMP_SPINCOUNT")
    return {name: value for name, value in os.environ.items() if name not in ours}


@contextmanager
def competitor(there: bool) -> Iterator[None]:
    """A process that keeps one core busy, if wanted."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) if there else None
    try:
        yield
    finally:
        if process:
            process.kill()
            process.wait()


def of_build(python: Path, script: str) -> list[str]:
    """The command that runs the benchmark `script` of the build which a Python belongs to."""
    find = "import pathlib, trialtune; print(pathlib.Path(trialtune.__file__).parents[2])"
    found = subprocess.run(
        [python, "-c", find], stdout=subprocess.PIPE, text=True, check=True, cwd="/", env=own_environment()
    )
    return [str(python.absolute()), str(Path(found.stdout.strip()) / "benchmarks" / script)]


def in_turns(
    command: Sequence[str],
    names: Sequence[str],
    seeds: int,
    *,
    baseline: Sequence[str] | None = None,
    busy: bool = False,
) -> tuple[Results, float]:
    """Run `python COMMAND NAME SEED` for every name and seed, so that machine noise affects all names alike.

    Each run prints its result as JSON on its last line. `baseline` is another build's command, whose
    "trialtune" is the row "baseline"; `busy` runs a competitor in parallel. Returns the results of each
    name, one per seed, and the most that other processes used of the CPU between runs, in percent.
    """
    commands = {name: [sys.executable, *command, name] for name in names}
    if baseline:
        commands[BASELINE] = [*baseline, "trialtune"]
    measured: Results = {name: [] for name in commands}
    busiest = 0.0
    for seed in range(1, seeds + 1):
        for name, row in commands.items():
            busiest = max(busiest, psutil.cpu_percent(interval=1.0))
            with competitor(busy):
                env = own_environment() if name == BASELINE else None
                done = subprocess.run([*row, str(seed)], stdout=subprocess.PIPE, check=True, env=env)
            measured[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{name} seed {seed}: {measured[name][-1]}", file=sys.stderr)
    return measured, busiest


def peak(*, bf16: bool) -> float:
    """This machine's matrix-product peak, in operations per second."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return matmul_peak(device, torch.bfloat16 if bf16 else torch.float32)


def print_machine(console: Console, busiest: float) -> None:
    """A line on the machine, and a warning when others used it too."""
    here = machine().model_dump()
    console.print(
        f"{here['gpu'] or here['cpu']}, {here['cores']} cores, {here['memory_gib']} GiB; matrix products: "
        f"{peak(bf16=False) / 1e9:,.0f} GFLOP/s in fp32, {peak(bf16=True) / 1e9:,.0f} in bf16; "
        f"torch {torch.__version__}"
    )
    if busiest > 10:
        console.print(f"Others used up to {busiest:.0f}% of the CPU meanwhile: these numbers are unreliable.")
