"""Finds probable label errors by out-of-fold probabilities."""

import numpy as np
import polars as pl

from trialtune.dataset.label_arrays import multi_hot
from trialtune.errors import DataError
from trialtune.evaluation.metrics import check_shapes


def suspects(rows: pl.DataFrame, probabilities: np.ndarray, labels: list[str]) -> pl.DataFrame:
    """Probable label errors, (row, label) pairs of `rows`, most probable first, by confident learning.

    `probabilities` [rows, labels] are out-of-fold: each row's come from a classifier trained on
    others. Each label is a binary question. A "no" is doubted where the probability of yes reaches
    its mean over the rows labelled yes, a "yes" where that of no reaches its mean over those
    labelled no (Northcutt et al., 2021, doi:10.1613/jair.1.12125). cleanlab finds the same, except for
    missed rare labels with a probability below one half: it does not doubt a label that the likelier
    answer confirms (`benchmarks/peers.py`). Columns: those of `rows`,
    `doubted` (the label), `given` (whether the row has it), `probability` (of the label).
    Raises DataError when shapes disagree or a probability is not a number.
    """
    gold = multi_hot(rows["labels"], labels)
    check_shapes(labels, gold=gold, probabilities=probabilities)
    if not np.isfinite(probabilities).all():
        raise DataError("a probability is not a number")
    found = []
    for column, label in enumerate(labels):
        stated, truth = probabilities[:, column], gold[:, column]
        if truth.all() or not truth.any():
            continue
        missing = ~truth & (stated >= stated[truth].mean())
        wrong = truth & (1 - stated >= (1 - stated[~truth]).mean())
        for index in np.flatnonzero(missing | wrong):
            found.append((int(index), label, bool(truth[index]), float(stated[index])))
    table = pl.DataFrame(
        found,
        schema={"_row": pl.UInt32, "doubted": pl.String, "given": pl.Boolean, "probability": pl.Float64},
        orient="row",
    )
    doubt = pl.when("given").then(1 - pl.col("probability")).otherwise("probability")
    joined = table.join(rows.with_row_index("_row"), on="_row", how="left").sort(
        doubt, "_row", descending=[True, False]
    )
    return joined.select(*rows.columns, "doubted", "given", "probability")
