"""What a person sees while work goes on, on stderr: lines and bars, or a log where nobody watches."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from trialtune.errors import UsageError

console = Console(stderr=True, highlight=False)


def tell(line: str) -> None:
    """Say what is being done."""
    console.print(line, markup=False, soft_wrap=True)


def is_first_process() -> bool:
    """Whether this process is the one that speaks, of several that `torchrun` started."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


@contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar, or lines of a log; yields the function that moves it on by a number of items."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = console.is_terminal and is_first_process()
    log = LogLines(f"{label}:", first=0)
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task(label, total=total)
        done = 0

        def move(count: int) -> None:
            nonlocal done
            done += count
            progress.advance(task, count)
            log.tell(done, total)

        yield move


class LogLines:
    """Progress as lines of a log, where stderr is no terminal: one at a time, none for short work.

    `TRIALTUNE_LOG_SECONDS` (30) lie between two lines. The speed is that since `first` items were done,
    or since the first call: a run that goes on from a checkpoint has not done what came before.
    """

    def __init__(
        self, label: str, *, first: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.label, self.clock, self.seconds = label, clock, log_seconds()
        self._told = clock()
        self._start = None if first is None else (first, self._told)

    def tell(self, done: int, total: int | None, *, speed: str | None = None) -> None:
        """Say how far the work is, if a line is due."""
        if not console.is_terminal and is_first_process() and (line := self.line(done, total, speed=speed)):
            tell(line)

    def line(self, done: int, total: int | None, *, speed: str | None = None) -> str | None:
        """The line that is due, None before its time; `speed` takes the place of the items a second."""
        now = self.clock()
        first, started = self._start = self._start or (done, now)
        if now - self._told < self.seconds:
            return None
        self._told = now
        rate = (done - first) / (now - started) if now > started else 0.0
        parts = [speed or f"{rate:,.{0 if rate >= 10 else 1}f}/s"]
        if total and rate:
            parts.append(f"{duration(max(total - done, 0) / rate)} left")
        share = f" of {total:,} ({done / total:.0%})" if total else ""
        return f"{self.label} {done:,}{share}, {', '.join(parts)}"


def log_seconds() -> float:
    """Seconds between two lines of a log; raises UsageError when the environment gives no number."""
    given = os.environ.get("TRIALTUNE_LOG_SECONDS", "30")
    try:
        return float(given)
    except ValueError as error:
        raise UsageError(f"TRIALTUNE_LOG_SECONDS {given!r}: give a number of seconds") from error


def duration(seconds: float) -> str:
    """`4 s`, `12 min` or `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
