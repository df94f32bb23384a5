"""What a person sees while work goes on: lines and progress bars, all on stderr."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from trialtune.evaluation.mlm import score_line
from trialtune.training.loop import Progress as TrainingProgress

console = Console(stderr=True, highlight=False)


def tell(line: str) -> None:
    """Say what is being done."""
    console.print(line, markup=False, soft_wrap=True)


@contextmanager
def bar(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar; yields the function that moves it on by a number of items."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def training_bar(label: str) -> Iterator[Callable[[TrainingProgress], None]]:
    """A progress bar of a training run, with the loss, the speed and the time left; a line a scoring."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("loss {task.fields[loss]:.3f}  {task.fields[speed]:,.0f} tokens/s"),
        TextColumn("{task.fields[share]:.0%} of peak"),
    )
    shown = console.is_terminal and os.environ.get("LOCAL_RANK", "0") == "0"  # once, not once a process
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task(label, total=None, loss=math.nan, speed=0.0, share=0.0)

        def show(now: TrainingProgress) -> None:
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

        yield show
