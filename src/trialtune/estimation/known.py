"""Rows whose labels are known without sampling: those shipped with a task, or a user's table."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialtune.errors import DataError, UsageError
from trialtune.estimation.hand_labels import are_labelled, read_hand_labels, truths_of
from trialtune.estimation.population import Population
from trialtune.tasks.text import wording_hash

SHIPPED = "shipped"


@dataclass(frozen=True)
class Known:
    """Which rows of the population have known labels [rows], and these [rows, labels]; both False elsewhere.

    `noise` bounds the share of wrong labels: for the shipped ones, the upper 97.5% bound
    of the errors of a single annotation pass.
    """

    rows: NDArray[np.bool_]
    holds: NDArray[np.bool_]
    noise: float = 0.0

    @classmethod
    def none(cls, population: Population) -> "Known":
        """No row is known."""
        return cls(np.zeros(len(population), dtype=bool), np.zeros_like(population.predicted))


def known_labels(source: str | Path, population: Population) -> Known:
    """The known labels of the population: "shipped", or a table of `nct_id` and `labels`.

    Shipped labels belong to a wording, so they apply to every trial with the same reason. In
    a table, cells are as in `read_gold`: an empty one is a trial whose labels are unknown.

    Raises:
        UsageError: The task has no shipped labels.
        DataError: The labels have no texts to compare, or the table cannot be used.
    """
    if str(source) != SHIPPED:
        return _of_table(Path(source), population)
    task = population.task
    if task.load_gold is None or task.gold_agreement is None:
        raise UsageError(
            f"--known {SHIPPED}: {task.name} has no shipped labels; give a table of nct_id and labels"
        )
    if population.texts is None:
        raise DataError(f"--known {SHIPPED}: the labelled rows have no column text; give what `apply` wrote")
    gold = task.load_gold()
    labels = dict(zip(gold["text_hash"], gold["labels"], strict=True))
    distinct = population.texts.unique()
    hashes = pl.Series([wording_hash(text) if text else None for text in distinct], dtype=pl.String)
    found = population.texts.replace_strict(distinct, hashes, return_dtype=pl.String)
    rows = found.is_in(gold["text_hash"].implode()).fill_null(False).to_numpy()
    holds = np.zeros_like(population.predicted)
    names = [*task.labels]
    for place in np.flatnonzero(rows):
        holds[place, [names.index(label) for label in labels[found[int(place)]]]] = True
    return Known(rows, holds, task.gold_agreement.noise)


def _of_table(path: Path, population: Population) -> Known:
    table = read_hand_labels(path, population.task)
    table = table.filter(are_labelled(table, population))
    holds = truths_of(table, population, path)
    facts = pl.DataFrame({"nct_id": population.nct_ids, "place": pl.int_range(len(population), eager=True)})
    placed = table.select("nct_id").join(facts, on="nct_id", how="left", maintain_order="left")["place"]
    there = placed.is_not_null().to_numpy()
    if not there.any():
        raise DataError(f"{path}: none of its trials is among the labelled ones")
    rows, mine = np.zeros(len(population), dtype=bool), np.zeros_like(population.predicted)
    places = placed.drop_nulls().to_numpy()
    rows[places], mine[places] = True, holds[there]
    return Known(rows, mine)
