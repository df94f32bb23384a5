"""Label the rows of a table with a classifier folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_file
from trialtune.stages.evaluate import open_classifier
from trialtune.tasks.targets import label_lists
from trialtune.tasks.task import Task, get_task


def predict(
    folder: Path, rows: pl.DataFrame, *, progress: Callable[[int], None] | None = None
) -> pl.DataFrame:
    """`nct_id` (where known), `text`, `labels` and a probability column for each label, a row a row.

    A row without text keeps its place, with nulls.
    """
    predictor, decision, task = open_classifier(folder)
    texts = task_texts(get_task(task), rows)
    there = np.array([bool(text.strip()) for text in texts], dtype=bool)
    probabilities = np.full((len(texts), len(predictor.labels)), np.nan, dtype=np.float32)
    labels: list[list[str] | None] = [None] * len(texts)
    if there.any():
        probabilities[there] = predictor.probabilities(
            [text for text, keep in zip(texts, there, strict=True) if keep], progress=progress
        )
        decided = label_lists(decision.decide(probabilities[there]), predictor.labels)
        for index, names in zip(np.flatnonzero(there), decided, strict=True):
            labels[index] = names
    columns = {
        **({"nct_id": rows["nct_id"]} if "nct_id" in rows.columns else {}),
        "text": pl.Series(texts, dtype=pl.String),
        "labels": pl.Series(labels, dtype=pl.List(pl.String)),
        **{
            label: pl.Series(probabilities[:, index]).fill_nan(None)
            for index, label in enumerate(predictor.labels)
        },
    }
    return pl.DataFrame(columns)


def task_texts(task: Task, rows: pl.DataFrame) -> list[str]:
    """The text of each row: its own `text`, else what the task builds from a snapshot's columns."""
    own = rows["text"].to_list() if "text" in rows.columns else [None] * len(rows)
    if any(name in rows.columns for name in task.fields):
        built = task.texts(rows).to_list()
    elif "text" in rows.columns:
        built = [""] * len(rows)
    else:
        raise DataError(
            f"the input has the columns {', '.join(rows.columns)}; give one called text, or a snapshot with "
            f"{' or '.join(task.fields)}"
        )
    return [text or other for text, other in zip(own, built, strict=True)]


def write_table(rows: pl.DataFrame, path: Path) -> None:
    """Write .parquet, .jsonl or .csv (lists joined by `|`); raises UsageError for another suffix."""
    with atomic_file(path) as temporary:
        match path.suffix.lower():
            case ".parquet":
                rows.write_parquet(temporary)
            case ".jsonl" | ".ndjson":
                rows.write_ndjson(temporary)
            case ".csv":
                rows.with_columns(pl.col("labels").list.join("|")).write_csv(temporary)
            case other:
                raise UsageError(f"--output {path}: {other or 'no suffix'}; give .parquet, .jsonl or .csv")
