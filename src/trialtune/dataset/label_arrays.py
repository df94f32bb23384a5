"""Label lists as arrays, and a system's answers as columns."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray


def multi_hot(rows: pl.Series | Sequence[Sequence[str]], labels: Sequence[str]) -> NDArray[np.bool_]:
    """Lists of label names as a table [rows, labels] of truth values."""
    column = {label: index for index, label in enumerate(labels)}
    table = np.zeros((len(rows), len(labels)), dtype=bool)
    for index, names in enumerate(rows):
        table[index, [column[name] for name in names]] = True
    return table


def label_lists(table: NDArray[np.bool_], labels: Sequence[str]) -> list[list[str]]:
    """The other way: the names that hold in each row."""
    return [[label for label, holds in zip(labels, row, strict=True) if holds] for row in table]


def with_answers(
    rows: pl.DataFrame,
    labels: Sequence[str],
    predicted: NDArray[np.bool_],
    probabilities: np.ndarray | None = None,
) -> pl.DataFrame:
    """`rows` with `predicted`, lists of labels, and `probabilities` where there are any.

    `predicted` comes as truth values and `probabilities` as numbers, both [rows, labels].
    """
    answers = [pl.Series("predicted", label_lists(predicted, labels), dtype=pl.List(pl.String))]
    if probabilities is not None:
        answers.append(pl.Series("probabilities", probabilities.tolist(), dtype=pl.List(pl.Float32)))
    return rows.with_columns(answers)
