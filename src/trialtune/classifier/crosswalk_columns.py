"""Columns that crosswalks add to predictions: classes of the predicted labels, with probabilities."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trialtune.classifier.prediction import DIGITS, PREDICTION_SCHEMA
from trialtune.dataset.label_arrays import label_lists, multi_hot
from trialtune.errors import UsageError
from trialtune.tasks.crosswalk import Crosswalk, load_crosswalk
from trialtune.tasks.task import Kind, Task

if TYPE_CHECKING:
    import polars as pl

# Names, files, or loaded crosswalks.
Named = str | Path | Crosswalk


def crosswalks_for(task: Task, named: Iterable[Named] | Named) -> tuple[Crosswalk, ...]:
    """The crosswalks of these names or files.

    Raises UsageError when there is no such crosswalk, it is not for the task, or two of them, or one and
    the predictions, have a column of the same name.
    """
    listed = [named] if isinstance(named, str | Path | Crosswalk) else list(named)
    found: list[Crosswalk] = []
    taken = dict.fromkeys(PREDICTION_SCHEMA, "predictions")
    for one in listed:
        crosswalk = one if isinstance(one, Crosswalk) else load_crosswalk(one)
        crosswalk.check(task, f"crosswalk {crosswalk.name if isinstance(one, Crosswalk) else one}")
        for column in crosswalk.columns:
            if (other := taken.setdefault(column, crosswalk.name)) != crosswalk.name:
                raise UsageError(
                    f"crosswalk {crosswalk.name}: {other} has a column {column!r} too; rename the crosswalk"
                )
        if crosswalk.name in (other.name for other in found):
            raise UsageError(f"crosswalk {crosswalk.name}: given twice; give it once")
        found.append(crosswalk)
    return tuple(found)


def joint_probability(probabilities: np.ndarray, kind: Kind) -> np.ndarray:
    """The probability that at least one of some labels holds, from that of each [rows, labels] -> [rows].

    Labels of a multi-class task exclude each other, so their probabilities add up. Labels of a multi-label
    task do not: two of 0.6 are not 1.2. The classifier gives each label's marginal probability, and nothing
    about their joint distribution. So the result lies between the greatest of them (the labels
    coincide) and their sum (they never do), which are the bounds of Fréchet (1935). Given the text,
    labels are taken to be independent, as the classifier's sigmoids and their loss assume:
    1 - (1 - p1)(1 - p2)..., which lies within the bounds. For one label it is that label's probability, to
    the bit; for none it is 0.
    """
    if not probabilities.shape[1]:
        return np.zeros(len(probabilities))
    each = probabilities.astype(np.float64)
    total: np.ndarray = np.minimum(each.sum(axis=1), 1.0)
    if kind == "multi_class":
        return total
    # Within the bounds despite rounding.
    joint: np.ndarray = np.clip(1 - np.prod(1 - each, axis=1), each.max(axis=1), total)
    return joint


def crosswalk_schema(crosswalk: Crosswalk) -> "dict[str, pl.DataType]":
    """The columns of a crosswalk with their Polars types."""
    import polars as pl  # noqa: PLC0415 - labelling one text starts without it

    classes: Any = pl.Struct({name: pl.Float32() for name in crosswalk.classes})
    types = (pl.List(pl.String()), classes, pl.Float64(), pl.Float32())
    return dict(zip(crosswalk.columns, types, strict=False))


def with_crosswalks(predicted: "pl.DataFrame", crosswalks: Sequence[Crosswalk], kind: Kind) -> "pl.DataFrame":
    """Predictions (`labels`, `probabilities`) with the columns of each crosswalk; nulls without text.

    Classes and factor follow from the predicted labels, never from a probability, so that a row's
    labels and classes agree.
    """
    for crosswalk in crosswalks:
        predicted = predicted.hstack(_columns(predicted, crosswalk, kind))
    return predicted


def _columns(predicted: "pl.DataFrame", crosswalk: Crosswalk, kind: Kind) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415

    labels = list(crosswalk.labels)
    there = predicted["labels"].is_not_null()
    rows = predicted.filter(there)
    given = multi_hot(rows["labels"], labels)
    stated = rows["probabilities"].struct.unnest().select(labels).to_numpy()
    groups = [_places(labels, crosswalk.labels_of(name)) for name in crosswalk.classes]
    names = tuple(crosswalk.classes)
    classes = np.array([given[:, group].any(axis=1) for group in groups]).T
    likely = np.array([joint_probability(stated[:, group], kind) for group in groups]).T
    answers: list[Any] = [
        label_lists(classes, names),
        pl.DataFrame(likely.round(DIGITS), schema=names, orient="row").to_struct(),
    ]
    if crosswalk.factor:
        group = _places(labels, crosswalk.factor.labels)
        holds = given[:, group].any(axis=1)
        answers += [
            np.where(holds, crosswalk.factor.value, 1.0),
            joint_probability(stated[:, group], kind).round(DIGITS),
        ]
    types = crosswalk_schema(crosswalk)
    columns = [
        pl.Series(name, values).cast(types[name])
        for name, values in zip(crosswalk.columns, answers, strict=True)
    ]
    # Back in order, with nulls where there are no labels.
    places = pl.Series(np.cumsum(there) - 1).zip_with(there, pl.Series([None], dtype=pl.Int64))
    return pl.DataFrame([column.gather(places) for column in columns])


def _places(labels: Sequence[str], chosen: Sequence[str]) -> list[int]:
    return [labels.index(label) for label in chosen]
