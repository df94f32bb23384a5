"""Splits a task's labelled rows: a test share, folds, or before and after a date."""

from pathlib import Path

import polars as pl

from trialtune.dataset.overlap import check_no_overlap, near_overlap
from trialtune.dataset.split_summary import PartSummary, SplitSummary
from trialtune.dataset.splits import k_folds, split_by_date, split_examples
from trialtune.files import atomic_folder
from trialtune.stages.settings import PartSettings
from trialtune.tasks.task import Task


def write_split(task: Task, rows: pl.DataFrame, out: Path, *, settings: PartSettings) -> SplitSummary:
    """Write `out/train.parquet` and `out/test.parquet`, or `out/fold-1/...`, and `out/split.json`.

    Returns the content of `split.json`: for each part its rows and how many have each label, for each
    pair of parts the near-duplicates across them (only templates have any: see `near_groups`; after
    a split by date there are none).
    """
    counts: dict[str, int] = {}
    if settings.folds:
        pairs = k_folds(rows, folds=settings.folds, seed=settings.seed, kind=task.kind)
        folders = [f"fold-{number}" for number in range(1, len(pairs) + 1)]
    elif settings.after:
        train, test, counts = split_by_date(rows, settings.after)
        pairs, folders = [(train, test)], ["."]
    else:
        shares = {"train": 1 - settings.test_share, "test": settings.test_share}
        parts = split_examples(rows, fractions=shares, seed=settings.seed, kind=task.kind)
        pairs, folders = [(parts["train"], parts["test"])], ["."]
    summaries, near = {}, {}
    with atomic_folder(out) as folder:
        for name, (train, test) in zip(folders, pairs, strict=True):
            check_no_overlap(train, test)
            (folder / name).mkdir(exist_ok=True)
            for part, frame in (("train", train), ("test", test)):
                title = str(Path(name) / part)
                frame.write_parquet(folder / f"{title}.parquet")
                summaries[title] = PartSummary(rows=len(frame), labels=count_labels(task, frame))
            near[str(Path(name) / "test")] = len(near_overlap(train, test))
        summary = SplitSummary(
            task=task.name,
            settings=settings.model_dump(mode="json"),
            rows=len(rows),
            undated=counts.get("undated"),
            straddling=counts.get("straddling"),
            parts=summaries,
            near_duplicates=near,
        )
        summary.save(folder / "split.json")
    return summary


def count_labels(task: Task, rows: pl.DataFrame) -> dict[str, int]:
    """How many rows have each of the task's labels."""
    counted = dict(rows["labels"].explode().drop_nulls().value_counts().iter_rows())
    return {label: counted.get(label, 0) for label in task.labels}
