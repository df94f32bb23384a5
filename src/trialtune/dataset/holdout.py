"""A training and a test part of labelled rows without overlap, drawn by a few settings."""

from pathlib import Path

import polars as pl
from pydantic import Field

from trialtune.dataset.overlap import check_no_overlap, drop_overlap, near_overlap
from trialtune.dataset.splits import split_examples
from trialtune.files import atomic_file
from trialtune.settings import Settings
from trialtune.tasks.task import Task


class SplitSettings(Settings):
    """How rows are split and sampled."""

    test_share: float = Field(0.2, gt=0, lt=1, description="of the rows, when the data have no test file")
    max_train: int | None = Field(None, ge=50, description="rows, drawn evenly over the label sets")
    max_test: int | None = Field(None, ge=20, description="rows, drawn at random")
    untested_sources: tuple[str, ...] = Field(
        (), description="rows of these sources never enter the test part"
    )
    seed: int = Field(13, description="of the draw")


def divide(
    task: Task,
    labelled: pl.DataFrame,
    test: pl.DataFrame | None,
    out: Path,
    *,
    settings: SplitSettings,
) -> dict[str, int]:
    """Write `out/train.parquet` and `out/test.parquet`; returns their sizes and overlap.

    With `test` given, training rows that share its trials or wording are dropped; otherwise a share
    of the groups of similar rows becomes the test part. Near-duplicates of training rows are
    counted, and listed in `out/near_duplicates.parquet` with the closest one.
    """
    if test is not None:
        train, overlapping = drop_overlap(labelled, test)
        dropped = len(overlapping)
    else:
        shares = {"train": 1 - settings.test_share, "test": settings.test_share}
        parts = split_examples(labelled, fractions=shares, seed=settings.seed, kind=task.kind)
        train, test, dropped = parts["train"], parts["test"], 0
        if "source" in test.columns:
            for source in settings.untested_sources:
                test = test.filter(~pl.col("source").str.contains(source, literal=True).fill_null(False))
    if settings.max_train:
        train = draw_evenly(train, settings.max_train, seed=settings.seed)
    if settings.max_test and len(test) > settings.max_test:
        test = test.sample(settings.max_test, seed=settings.seed)
    check_no_overlap(train, test)
    near = near_overlap(train, test)
    for name, rows in (("train", train), ("test", test), ("near_duplicates", near)):
        with atomic_file(out / f"{name}.parquet") as path:
            rows.write_parquet(path)
    return {"train": len(train), "test": len(test), "overlap_dropped": dropped, "near_duplicates": len(near)}


def draw_evenly(rows: pl.DataFrame, count: int, *, seed: int) -> pl.DataFrame:
    """At most `count` rows, balanced over the label sets as far as there are enough.

    `weight` is how many rows each represents, so that training can correct for the balanced sampling.
    """
    label_set = pl.col("labels").list.join("\n")
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=seed).with_columns(of=pl.len().over(label_set))
    drawn = shuffled.sort(pl.int_range(pl.len()).over(label_set), maintain_order=True).head(count)
    return drawn.with_columns(weight=pl.col("of") / pl.len().over(label_set)).drop("of")
