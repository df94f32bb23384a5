"""Scores by subset of the test rows, which reveal shortcuts such as predicting from the topic."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from trialtune.dataset.label_arrays import multi_hot
from trialtune.errors import DataError
from trialtune.evaluation.metrics import score
from trialtune.results import Result

LEAST = 10  # minimum examples of a class in a slice for its scores to be meaningful


class Slice(Result):
    """The scores of the rows with one value; a class with fewer than `LEAST` examples has none."""

    name: str
    n: int
    accuracy: float  # share of rows whose label set is exactly right
    macro_f1: float | None  # mean over the classes that are scored
    support: dict[str, int]
    recall: dict[str, float | None]
    predicted: dict[str, int]  # how often each class was predicted


def scores_by(rows: pl.DataFrame, column: str, labels: Sequence[str], kind: str) -> list[Slice]:
    """The scores of each value of `column`, the largest slice first.

    `rows` are scored ones with `gold` and the predicted `labels`, as in a `predictions.parquet`; rows
    without a value are the slice "unknown". Raises DataError without one of these columns.
    """
    if missing := {column, "gold", "labels"} - set(rows.columns):
        raise DataError(f"the scored rows have no column {', '.join(sorted(missing))}")
    named = rows.with_columns(pl.col(column).cast(pl.String).fill_null("unknown").alias(column))
    parts = [
        _slice(str(value), part, labels, kind)
        for (value,), part in named.group_by(column, maintain_order=True)
    ]
    return sorted(parts, key=lambda part: (-part.n, part.name))


def _slice(name: str, rows: pl.DataFrame, labels: Sequence[str], kind: str) -> Slice:
    gold, predicted = (multi_hot(rows[column], labels) for column in ("gold", "labels"))
    metrics = score(gold, predicted, labels, kind=kind)
    classes = metrics.per_class
    scored = {
        label: f1
        for label in labels
        if (f1 := classes[label].f1) is not None and classes[label].support >= LEAST
    }
    return Slice(
        name=name,
        n=metrics.n,
        accuracy=metrics.accuracy,
        macro_f1=float(np.mean(list(scored.values()))) if scored else None,
        support={label: classes[label].support for label in labels},
        recall={label: classes[label].recall if label in scored else None for label in labels},
        predicted=dict(zip(labels, predicted.sum(axis=0).tolist(), strict=True)),
    )
