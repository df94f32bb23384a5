"""The rows that a classifier is not trained on, since they tune its decision."""

import polars as pl

from trialtune.dataset.splits import split_examples
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.task import Task


def keep_aside(
    task: Task, rows: pl.DataFrame, settings: FinetuneSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows to train on and those that tune the decision; raises what `split_examples` raises."""
    shares = {"train": 1 - settings.calibration_share, "calibration": settings.calibration_share}
    parts = split_examples(rows, fractions=shares, seed=settings.seed, kind=task.kind)
    return parts["train"], parts["calibration"]
