"""Label the rows of a table with a classifier folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_file
from trialtune.stages.evaluate import open_classifier
from trialtune.tasks.columns import need_text, prepared
from trialtune.tasks.targets import label_lists
from trialtune.tasks.task import Task, task_of


def predict(
    folder: Path, rows: pl.DataFrame, *, progress: Callable[[int], None] | None = None
) -> pl.DataFrame:
    """`nct_id` (where known), `text`, `labels`, `needs_review`, a calibrated probability for each label.

    A row a row, in order; one without text keeps its place, with nulls.
    """
    predictor, decision, _ = open_classifier(folder)
    rows = prepared(rows)
    texts = task_texts(task_of(folder), rows)
    there = [index for index, text in enumerate(texts) if text.strip()]
    decided = decision.apply(predictor.probabilities([texts[index] for index in there], progress=progress))
    probabilities = np.full((len(texts), len(predictor.labels)), np.nan, dtype=np.float32)
    probabilities[there] = decided.probabilities
    labels: list[list[str] | None] = [None] * len(texts)
    needs_review: list[bool | None] = [None] * len(texts)
    names = label_lists(decided.labels, predictor.labels)
    for index, chosen, doubtful in zip(there, names, decided.needs_review.tolist(), strict=True):
        labels[index], needs_review[index] = chosen, doubtful
    columns = {
        **({"nct_id": rows["nct_id"]} if "nct_id" in rows.columns else {}),
        "text": pl.Series(texts, dtype=pl.String),
        "labels": pl.Series(labels, dtype=pl.List(pl.String)),
        "needs_review": pl.Series(needs_review, dtype=pl.Boolean),
        **{
            label: pl.Series(probabilities[:, index]).fill_nan(None)
            for index, label in enumerate(predictor.labels)
        },
    }
    return pl.DataFrame(columns)


def task_texts(task: Task, rows: pl.DataFrame) -> list[str]:
    """The text of each row of a `prepared` table as training saw it; empty where it has none or far too much.

    Raises DataError when the table has no column of text for the task.
    """
    columns = [name for name in dict.fromkeys((*task.fields, "text")) if name in rows.columns]
    if not columns:
        raise DataError(
            f"the input has the columns {', '.join(rows.columns)}; give one called text, or a snapshot with "
            f"{' or '.join(task.fields)}"
        )
    need_text(rows, columns, "the input")
    found = rows.select(columns).iter_rows(named=True)
    return ["" if task.oversized(row) else task.text_of(row) for row in found]


def check_table_name(path: Path) -> None:
    """Raise UsageError when no table can be written under that name."""
    if path.suffix.lower() not in (".parquet", ".jsonl", ".ndjson", ".csv"):
        raise UsageError(f"--output {path}: {path.suffix or 'no suffix'}; give .parquet, .jsonl or .csv")


def write_table(rows: pl.DataFrame, path: Path) -> None:
    """Write .parquet, .jsonl or .csv (lists joined by `|`); raises UsageError for another suffix."""
    check_table_name(path)
    with atomic_file(path) as temporary:
        match path.suffix.lower():
            case ".parquet":
                rows.write_parquet(temporary)
            case ".csv":
                rows.with_columns(pl.col("labels").list.join("|")).write_csv(temporary)
            case _:
                rows.write_ndjson(temporary)
