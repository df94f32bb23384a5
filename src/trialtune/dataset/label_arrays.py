"""Label lists as arrays, and back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl


def multi_hot(rows: "pl.Series | Sequence[Sequence[str]]", labels: Sequence[str]) -> NDArray[np.bool_]:
    """Lists of label names as a boolean array [rows, labels]."""
    column = {label: index for index, label in enumerate(labels)}
    table = np.zeros((len(rows), len(labels)), dtype=bool)
    for index, names in enumerate(rows):
        table[index, [column[name] for name in names]] = True
    return table


def label_lists(table: NDArray[np.bool_], labels: Sequence[str]) -> list[list[str]]:
    """The inverse: the label names of each row."""
    return [[label for label, holds in zip(labels, row, strict=True) if holds] for row in table]
