"""Predictions of gold rows by classifiers that were not trained on them."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from trialtune.dataset.columns import prepared
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError
from trialtune.estimation.gold_rows import GoldRows
from trialtune.estimation.population import Population, memberships, probabilities_in
from trialtune.tasks.text import normalize_text


def with_out_of_fold(population: Population, gold: GoldRows, path: Path) -> Population:
    """The population, with the predictions of `trialtune crossfit` for the gold rows.

    `path` is its out_of_fold.parquet, in which each row was scored by a classifier trained without it:
    cross-prediction-powered inference (Zrnic and Candès, 2024, PNAS 121(15)), with the classifier
    trained on all gold rows instead of the folds' mean for the other rows. Raises DataError when a gold row
    is missing there.
    """
    table = prepared(read_table(path))
    if "nct_id" not in table.columns or "labels" not in table.columns:
        raise DataError(f"{path}: has no columns nct_id and labels; give out_of_fold.parquet of `crossfit`")
    ids = population.nct_ids[gold.places]
    wanted = pl.DataFrame({"nct_id": ids}).join(
        table.unique("nct_id", keep="first"), on="nct_id", how="left", maintain_order="left"
    )
    missing = wanted.filter(pl.col("labels").is_null())
    if len(missing):
        raise DataError(
            f"{path}: {len(missing):,} gold rows are missing ({missing['nct_id'][0]} is one); run"
            " `trialtune"
            " crossfit` on all gold rows"
        )
    task = population.task
    known = {normalize_text(label): label for label in task.labels}
    predicted = population.predicted.copy()
    predicted[gold.places] = memberships(wanted["labels"], task, known, str(path), wanted["nct_id"])
    stated = population.stated
    if stated is not None:
        given = probabilities_in(wanted, task, path)
        if given is None:
            return replace(population, predicted=predicted, stated=None)
        stated = stated.copy()
        stated[gold.places] = given
    return replace(population, predicted=predicted, stated=stated)
