"""Work in several processes: in order, a little at a time, and ended when the parent is killed."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from trialtune.errors import DataError
from trialtune.workers import at_most, cores, in_order


def test_results_come_in_order_and_little_is_taken_ahead() -> None:
    taken = []

    def items():
        for number in range(40):
            taken.append(number)
            yield number

    results = in_order(str, items(), workers=2)
    assert next(results) == "0"
    assert len(taken) < 10
    assert [*results] == [str(number) for number in range(1, 40)]
    assert [*in_order(str, range(5), workers=1)] == list("01234")
    assert cores() >= 1


def test_windows_waits_for_61_processes_at_most(monkeypatch) -> None:
    assert at_most(128) == 128
    monkeypatch.setattr(sys, "platform", "win32")
    assert (at_most(128), at_most(8)) == (61, 8)


def test_errors_come_through() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(in_order(int, ["1", "x"], workers=2))


def test_a_dead_worker_is_an_error_with_a_mend() -> None:
    with pytest.raises(DataError, match="--workers"):
        list(in_order(os._exit, [3] * 4, workers=2))


def test_workers_end_with_a_parent_that_is_killed() -> None:
    code = (
        "import time; from trialtune.workers import in_order; list(in_order(time.sleep, [60, 60], workers=2))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    workers = []
    while len(workers) < 2:
        time.sleep(0.1)
        children = psutil.Process(parent.pid).children()
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    time.sleep(2.0)  # they have started to work
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert (len(gone), alive) == (2, [])
