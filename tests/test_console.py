"""Progress where nobody watches: lines of a log instead of a bar."""

import os
import re
import subprocess
import sys

import pytest

from trialtune.console import LogLines, duration, log_seconds
from trialtune.errors import UsageError


class Clock:
    """A clock that goes as told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_is_due_every_thirty_seconds_and_not_before(monkeypatch) -> None:
    monkeypatch.delenv("TRIALTUNE_LOG_SECONDS", raising=False)
    clock = Clock()
    log = LogLines("scoring texts:", first=0, clock=clock)
    lines = []
    for second in range(1, 66):
        clock.now = 100 + second
        lines.append(log.line(200 * second, 25_000))
    assert [number for number, line in enumerate(lines, 1) if line] == [30, 60]
    assert lines[29] == "scoring texts: 6,000 of 25,000 (24%), 200/s, 2 min left"
    assert lines[59] == "scoring texts: 12,000 of 25,000 (48%), 200/s, 65 s left"


def test_work_of_unknown_size_has_no_time_left() -> None:
    clock = Clock()
    log = LogLines("importing trials:", first=0, clock=clock)
    clock.now += log.seconds * 2
    assert log.line(30, None) == f"importing trials: 30, {30 / log.seconds / 2:.1f}/s"
    assert log.line(31, None) is None


def test_a_run_that_goes_on_is_timed_from_where_it_went_on(monkeypatch) -> None:
    monkeypatch.setenv("TRIALTUNE_LOG_SECONDS", "60")
    clock = Clock()
    log = LogLines("adapting: step", clock=clock)
    assert log.line(1000, 1600) is None
    clock.now += 60
    line = log.line(1120, 1600, speed="loss 0.412, 5,210 tokens/s")
    assert line == "adapting: step 1,120 of 1,600 (70%), loss 0.412, 5,210 tokens/s, 4 min left"


@pytest.mark.parametrize("seconds, text", [(4.2, "4 s"), (89, "89 s"), (721, "12 min"), (12_600, "3.5 h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_interval_that_is_no_number(monkeypatch) -> None:
    monkeypatch.setenv("TRIALTUNE_LOG_SECONDS", "often")
    with pytest.raises(UsageError, match="TRIALTUNE_LOG_SECONDS 'often'"):
        log_seconds()


WORK = """
import time
from trialtune.console import bar
with bar("scoring texts", 40) as progress:
    for _ in range(20):
        time.sleep(0.05)
        progress(2)
"""


def logged(seconds: str, **environment: str) -> list[str]:
    """Lines of the log of a second's work."""
    env = {**os.environ, "TRIALTUNE_LOG_SECONDS": seconds, **environment}
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True, env=env)
    assert not done.stdout
    return done.stderr.splitlines()


def test_a_pipe_gets_lines_and_short_work_none() -> None:
    lines = logged("0.2")
    assert 2 <= len(lines) <= 5
    form = r"scoring texts: \d+ of 40 \(\d+%\), [\d.]+/s, \d s left"
    assert all(re.fullmatch(form, line) for line in lines), lines
    assert logged("30") == []


def test_of_several_processes_the_first_speaks() -> None:
    assert logged("0.2", RANK="1", LOCAL_RANK="0") == []
