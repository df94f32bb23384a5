"""Scores by part of the test rows: a classifier that took the topic for the answer fails in some of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from trialtune.errors import DataError
from trialtune.evaluation.metrics import score
from trialtune.tasks.targets import multi_hot

LEAST = 10  # examples of a class in a slice, below which its scores would be chance
OTHER = "other"
# The topics that all but give a sex away, in the order in which they are tried.
TOPICS = {
    "prostate": r"prostat\w*|BPH",
    "breast": r"breast (?:cancer|neoplasm|carcinoma|tumou?r|disease|lesion)\w*|mammogra\w*|mastectom\w*",
    "pregnancy": r"pregnan\w*|obstetric\w*|labou?r|birth|postpartum|(?:pre|ante|peri)natal|ca?esarean"
    r"|(?:pre)?eclampsia",
    "gynaecology": r"ovar\w*|uter\w*|cervi(?:x|cal cancer|cal intra)\w*|endometri\w*|vagin\w*|vulv\w*"
    r"|menopaus\w*|menstrua\w*|gyna?ecolog\w*|contracept\w*",
    "urology": r"urolog\w*|bladder|urinary|erectile|testic\w*|testosterone|hypogonad\w*|kidney stones?"
    r"|urolithiasis",
}
_PATTERNS = {topic: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for topic, words in TOPICS.items()}
_BODY = re.compile(r"\b(?:(?:in|ex)clusion(?: criteria)?|summary|description)\b:?|\bcriteria:", re.IGNORECASE)
# Old records that say nothing of who may take part: the registry's answer can only be guessed.
UNSTATED = "no criteria stated"
_UNSTATED = re.compile(r"\bCriteria: (?:no eligibility criteria|please contact site)", re.IGNORECASE)
_HEAD = 60  # words of title and conditions at most


@dataclass(frozen=True)
class Slice:
    """The scores of the rows with one value; a class with fewer than `LEAST` examples has none."""

    name: str
    n: int
    accuracy: float  # share of rows whose label set is exactly right
    macro_f1: float | None  # mean over the classes that are scored
    support: dict[str, int]
    recall: dict[str, float | None]
    predicted: dict[str, int]  # how often each class was answered


def scores_by(rows: pl.DataFrame, column: str, labels: Sequence[str], kind: str) -> list[Slice]:
    """The scores of each value of `column`, the largest slice first.

    `rows` are scored ones with `labels` and `predicted` (lists), as in a `predictions.parquet`; rows
    without a value are the slice "unknown". Raises DataError without one of these columns.
    """
    if missing := {column, "labels", "predicted"} - set(rows.columns):
        raise DataError(f"the scored rows have no column {', '.join(sorted(missing))}")
    named = rows.with_columns(pl.col(column).cast(pl.String).fill_null("unknown").alias(column))
    parts = [
        _slice(str(value), part, labels, kind)
        for (value,), part in named.group_by(column, maintain_order=True)
    ]
    return sorted(parts, key=lambda part: (-part.n, part.name))


def with_topic(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with a `topic` column: one of `TOPICS`, "no criteria stated" or "other"."""
    return rows.with_columns(pl.Series("topic", map(topic_of, rows["text"]), dtype=pl.String))


def topic_of(text: str) -> str:
    """The first of `TOPICS` that the title and conditions at the head of a sex task's text speak of.

    A record that says in so many words that it has no criteria is a slice of its own.
    """
    if _UNSTATED.search(text):
        return UNSTATED
    head = " ".join(_BODY.split(text, maxsplit=1)[0].split()[:_HEAD])
    return next((topic for topic, pattern in _PATTERNS.items() if pattern.search(head)), OTHER)


def _slice(name: str, rows: pl.DataFrame, labels: Sequence[str], kind: str) -> Slice:
    gold, predicted = (multi_hot(rows[column], labels) for column in ("labels", "predicted"))
    metrics = score(gold, predicted, labels, kind=kind)
    classes = metrics["per_class"]
    scored = [label for label in labels if classes[label]["support"] >= LEAST]
    return Slice(
        name=name,
        n=metrics["n"],
        accuracy=metrics["accuracy"],
        macro_f1=float(np.mean([classes[label]["f1"] for label in scored])) if scored else None,
        support={label: classes[label]["support"] for label in labels},
        recall={label: classes[label]["recall"] if label in scored else None for label in labels},
        predicted=dict(zip(labels, predicted.sum(axis=0).tolist(), strict=True)),
    )
