"""The calibration rows, held out from training to tune the decision."""

import polars as pl

from trialtune.dataset.splits import split_examples
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.task import Task


def keep_aside(
    task: Task, rows: pl.DataFrame, settings: FinetuneSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The training and the calibration rows; raises as `split_examples` does."""
    shares = {"train": 1 - settings.calibration_share, "calibration": settings.calibration_share}
    parts = split_examples(rows, fractions=shares, seed=settings.seed, kind=task.kind)
    return parts["train"], parts["calibration"]
