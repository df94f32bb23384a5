"""Progress of a training run: a bar or log lines with loss and speed, one line per evaluation."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from trialtune.console import LogLines, console, is_first_process, tell

if TYPE_CHECKING:
    from trialtune.training.loop import Progress as TrainingProgress


@contextmanager
def training_bar(label: str) -> "Iterator[Callable[[TrainingProgress], None]]":
    """A bar of a training run, or lines of a log: loss, speed and time left; and one line per evaluation."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("loss {task.fields[loss]:.3f}  {task.fields[speed]:,.0f} tokens/s"),
        TextColumn("{task.fields[share]:.0%} of peak"),
    )
    shown = console.is_terminal and is_first_process()
    log = LogLines(f"{label}: step")
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task(label, total=None, loss=math.nan, speed=0.0, share=0.0)

        def show(now: "TrainingProgress") -> None:
            progress.update(
                task,
                completed=now.step,
                total=now.steps,
                loss=math.nan if now.loss is None else now.loss,
                speed=now.tokens_per_s,
                share=now.peak_share,
            )
            if now.scores:
                tell(score_line(now.scores))
            loss = "" if now.loss is None else f"loss {now.loss:.3f}, "
            log.tell(now.step, now.steps, speed=f"{loss}{now.tokens_per_s:,.0f} tokens/s")

        yield show


def score_line(entry: dict[str, Any]) -> str:
    """A history entry as a line of a log."""
    line = "Accuracy after {epoch:g} epoch = {accuracy:.4f} (step {step}, loss {loss:.4f}".format(**entry)
    old = entry.get("old")
    return line + (f", older trials {old['accuracy']:.4f})" if old else ")")
