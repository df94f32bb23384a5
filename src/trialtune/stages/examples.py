"""The labelled rows of a task, divided into a training and a test part that share nothing."""

from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from trialtune.errors import DataError
from trialtune.files import atomic_file
from trialtune.registry.readers.hub import fetch, is_hub_file
from trialtune.settings import Settings
from trialtune.tasks.examples import Labelled, load_examples
from trialtune.tasks.overlap import check_no_overlap, drop_overlap, near_overlap
from trialtune.tasks.splits import split_examples
from trialtune.tasks.task import Task


class SplitSettings(Settings):
    """How rows are divided and drawn."""

    test_share: float = Field(0.2, gt=0, lt=1, description="of the rows, when the data bring no test file")
    max_train: int | None = Field(None, ge=50, description="rows, drawn evenly over the label sets")
    max_test: int | None = Field(None, ge=20, description="rows, drawn at random")
    untested_sources: tuple[str, ...] = Field(
        (), description="rows of these sources never enter the test part"
    )
    seed: int = 13


def read_table(path: Path | str) -> pl.DataFrame:
    """Read a Parquet, CSV, JSON Lines or JSON table; raises DataError naming the file.

    It may lie on the Hugging Face Hub: hf://datasets/OWNER/NAME/FILE.
    """
    path = fetch(path) if is_hub_file(path) else Path(path)
    try:
        match path.suffix.lower():
            case ".parquet":
                return pl.read_parquet(path)
            case ".csv":
                return pl.read_csv(path, infer_schema=False)
            case ".json" if path.read_bytes()[:100].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
                return pl.read_json(path, infer_schema_length=None)
            case ".jsonl" | ".ndjson" | ".json":
                return pl.read_ndjson(path, infer_schema_length=None)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); is it whole, and UTF-8?"
        ) from error
    raise DataError(f"{path}: unknown kind of table; give .parquet, .csv, .jsonl or .json")


def divide(
    task: Task,
    labelled: pl.DataFrame,
    test: pl.DataFrame | None,
    out: Path,
    *,
    settings: SplitSettings,
) -> dict[str, Any]:
    """Write `out/train.parquet` and `out/test.parquet`; returns their sizes and what they have in common.

    With `test` given, training rows that share its trials or wording are dropped; otherwise a share
    of the groups of like rows becomes the test part. Test rows that are nearly a training row are
    counted, and listed in `out/near_duplicates.parquet` with the nearest one.
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
    """At most `count` rows, as many of each label set as of the others where there are enough.

    `weight` says for how many rows each stands, so that training can undo the even draw.
    """
    label_set = pl.col("labels").list.join(",")
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=seed).with_columns(of=pl.len().over(label_set))
    drawn = shuffled.sort(pl.int_range(pl.len()).over(label_set), maintain_order=True).head(count)
    return drawn.with_columns(weight=pl.col("of") / pl.len().over(label_set)).drop("of")


def read_examples(task: Task, path: Path | str, labels: Path | None, *, quarantine: Path) -> Labelled:
    """The task's labelled rows of a table or snapshot file.

    Rows left out, and those whose text has other labels in another row, are listed in `quarantine`.
    `labels`, a table of `nct_id` and `labels`, takes the place of the shipped labels.
    """
    rows = read_table(path)
    if labels is not None:
        rows = rows.drop("labels", strict=False).join(_labels_by_id(labels), "nct_id", "left")
    labelled = load_examples(task, rows, where=str(path))
    if listed := (*labelled.quarantined, *labelled.conflicts):
        with atomic_file(quarantine) as temporary:
            pl.DataFrame(listed).write_ndjson(temporary)
    return labelled


def _labels_by_id(path: Path) -> pl.DataFrame:
    table = read_table(path)
    if not {"nct_id", "labels"} <= set(table.columns):
        raise DataError(f"{path}: has the columns {', '.join(table.columns)}; labels need nct_id and labels")
    repeated = table.filter(pl.col("nct_id").is_duplicated())
    if len(repeated):
        raise DataError(f"{path}: {repeated['nct_id'][0]} has more than one row; keep one row a trial")
    return table.select("nct_id", "labels")
