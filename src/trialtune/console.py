"""Progress on stderr: lines and bars in a terminal, or log lines elsewhere."""

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
    """Print a message."""
    console.print(line, markup=False, soft_wrap=True)


def is_first_process() -> bool:
    """Whether this process prints, of several started by `torchrun`."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


@contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar, or lines of a log; yields the function that advances it by a number of items."""
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
    """Progress as log lines, where stderr is not a terminal; none for short work.

    `TRIALTUNE_LOG_SECONDS` (30) is the time between lines. The speed is measured from `first` items on,
    or from the first call: a resumed run has not done the items before its checkpoint.
    """

    def __init__(
        self, label: str, *, first: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.label, self.clock, self.seconds = label, clock, log_seconds()
        self._told = clock()
        self._start = None if first is None else (first, self._told)

    def tell(self, done: int, total: int | None, *, speed: str | None = None) -> None:
        """Print the progress, if a line is due."""
        if not console.is_terminal and is_first_process() and (line := self.line(done, total, speed=speed)):
            tell(line)

    def line(self, done: int, total: int | None, *, speed: str | None = None) -> str | None:
        """The line, None before it is due; `speed` replaces the items per second."""
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
    """Seconds between two lines of a log; raises UsageError when the variable is not a number."""
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
