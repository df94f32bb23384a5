"""Reads hand labels: a filled-in sheet, or a labels file of `trialtune annotate`."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from trialtune.dataset.answers import LABELLED, SKIPPED, holds_answers, latest, read_answers, settle
from trialtune.dataset.columns import prepared
from trialtune.dataset.label_names import LabelNames
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError
from trialtune.estimation.population import Population, memberships
from trialtune.tasks.task import Task

CHANCE, STRATUM = "drawing_probability", "stratum"
PARTIAL = "partial"  # a column of tables that have only answered rows
NONE_HOLDS = "-"  # for no label in a multi-label task: an empty cell is not labelled yet


def read_hand_labels(path: Path, task: Task) -> pl.DataFrame:
    """A table of `nct_id` and `labels`, one row per trial, with `row`: its row number in the file.

    From a labels file of `trialtune annotate`, the answers that count (see `settle`); a text without one is a
    row without labels. Raises DataError when a column is missing, or a trial is repeated.
    """
    first = 2 if path.suffix.lower() == ".csv" else 1
    table = prepared(read_table(path)).with_row_index("row", offset=first)
    texts = cs.string().replace("", None)
    table = table.with_columns(texts).filter(~pl.all_horizontal(pl.exclude("row").is_null()))  # empty rows
    for name in ("nct_id", "labels"):
        if name not in table.columns:
            raise DataError(f"{path}: has no column {name}; use the layout of the sheet of `estimate plan`")
    if holds_answers(table.columns):
        table = _that_count(table, task, path)
    table = table.with_columns(pl.col("nct_id").cast(pl.String).str.strip_chars().str.to_uppercase())
    twice = table.filter(pl.col("nct_id").is_duplicated() & pl.col("nct_id").is_not_null())
    if len(twice):
        first_id = twice["nct_id"][0]
        rows = ", ".join(map(str, twice.filter(nct_id=first_id)["row"]))
        raise DataError(f"{path}: {first_id} is in rows {rows}; keep one row per trial")
    return table


def _that_count(table: pl.DataFrame, task: Task, path: Path) -> pl.DataFrame:
    """One row for each text of a labels file, after adjudication; `partial`: only answered rows are in it."""
    answers = read_answers(task, table.drop("row"), where=str(path))
    settled = {answer.key: answer for answer in settle(answers).chosen}
    rows = [
        {
            "row": answer.row,
            "nct_id": answer.nct_id,
            "labels": list(chosen.labels) if chosen else [],
            "status": LABELLED if chosen else SKIPPED,
            "drawn": answer.drawn,
            **{name: answer.passed.get(name) or None for name in (STRATUM, CHANCE) if name in table.columns},
            PARTIAL: True,
        }
        for key, said in latest(answers).items()
        for answer, chosen in [(next(iter(said.values())), settled.get(key))]
    ]
    types: dict[str, Any] = {"labels": pl.List(pl.String), STRATUM: pl.String, CHANCE: pl.String}
    return pl.DataFrame(rows, schema_overrides=types, infer_schema_length=None)


def are_labelled(table: pl.DataFrame, population: Population) -> pl.Series:
    """Which rows are labelled."""
    column = table["labels"]
    if isinstance(column.dtype, pl.List):
        filled = column.list.len() > 0
    else:
        filled = column.cast(pl.String).str.strip_chars() != ""
    if "status" in table.columns:  # of `annotate`: an answer without labels means that none applies
        answered = table["status"].cast(pl.String) == LABELLED
        filled = answered & (filled | (population.task.kind == "multi_label"))
    return filled.fill_null(False)


def truths_of(labelled: pl.DataFrame, population: Population, path: Path) -> NDArray[np.bool_]:
    """The labels of labelled rows as booleans [rows, labels]; raises DataError naming the row."""
    task = population.task
    column = labelled["labels"]
    if column.dtype == pl.String:
        none = column.str.strip_chars() == NONE_HOLDS
        column = pl.select(pl.when(none).then(pl.lit("")).otherwise(column)).to_series()
    holds = memberships(
        column, task, LabelNames(task).known, str(path), "row " + labelled["row"].cast(pl.String)
    )
    if task.kind == "multi_class":
        wrong = np.flatnonzero(holds.sum(axis=1) != 1)
        if len(wrong):
            raise DataError(
                f"{path}, row {labelled['row'][int(wrong[0])]}: {labelled['labels'][int(wrong[0])]!r} is"
                f" not one label; {task.name} takes one of {', '.join(task.labels)}"
            )
    return holds
