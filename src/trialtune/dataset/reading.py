"""The labelled rows of a task, split into a training and a test part without overlap."""

from pathlib import Path

import polars as pl

from trialtune.console import is_first_process, tell
from trialtune.dataset.answers import holds_answers
from trialtune.dataset.examples import Labelled, load_examples
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_file
from trialtune.tasks.task import Task


def read_examples(task: Task, path: Path | str, labels: Path | str | None, *, quarantine: Path) -> Labelled:
    """The task's labelled rows of a table or snapshot file.

    Rows left out, and those whose text has other labels in another row, are listed in `quarantine`;
    how many there are is printed.
    `labels`, a table of `nct_id` and `labels`, replaces the shipped labels.
    """
    rows = read_table(path)
    if labels is not None:
        rows = rows.drop("labels", strict=False).join(_labels_by_id(labels), "nct_id", "left")
    labelled = load_examples(task, rows, where=str(path))
    listed = (*labelled.quarantined, *labelled.conflicts)
    if listed:
        with atomic_file(quarantine) as temporary:
            pl.DataFrame(listed).write_ndjson(temporary)
    if is_first_process():
        tell(f"{path}: {labelled.sentence()}" + (f"; listed in {quarantine}" if listed else ""))
    return labelled


def _labels_by_id(path: Path | str) -> pl.DataFrame:
    table = read_table(path)
    if holds_answers(table.columns):
        raise UsageError(f"--labels {path}: contains answers with their texts; pass it as --data")
    if not {"nct_id", "labels"} <= set(table.columns):
        raise DataError(f"{path}: has the columns {', '.join(table.columns)}; labels need nct_id and labels")
    repeated = table.filter(pl.col("nct_id").is_duplicated())
    if len(repeated):
        raise DataError(f"{path}: {repeated['nct_id'][0]} has more than one row; keep one row per trial")
    return table.select("nct_id", "labels")
