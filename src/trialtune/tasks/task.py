"""What a classifier is asked: a name, its labels with definitions, and where text and truth come from."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from trialtune.errors import DataError, UsageError
from trialtune.tasks import sex, stop_reasons


@dataclass(frozen=True)
class Task:
    """One classification task over trials."""

    name: str
    kind: Literal["multi_label", "multi_class"]
    labels: Mapping[str, str]  # label -> definition; the order is that of the probabilities
    max_length: int  # tokens that hold nearly every text of this task, or its telling part
    fields: tuple[str, ...]  # snapshot columns that the text is built from
    build_text: Callable[[Mapping[str, Any]], str]  # one snapshot row -> text, empty when there is none
    label_columns: tuple[str, ...] = ("labels", "label")
    synonyms: Mapping[str, str] = field(default_factory=dict)  # other spellings, lower case -> label
    load_gold: Callable[[], pl.DataFrame] | None = None  # shipped labels [nct_id, labels, split, text_hash]

    def texts(self, snapshot: pl.DataFrame) -> pl.Series:
        """The text of each snapshot row [n], empty where it has none.

        Raises DataError when the snapshot has none of the task's columns.
        """
        present = [name for name in self.fields if name in snapshot.columns]
        if not present:
            raise DataError(
                f"the task {self.name} reads {', '.join(self.fields)};"
                f" the snapshot has {', '.join(snapshot.columns)}"
            )
        rows = snapshot.select(present).iter_rows(named=True)
        return pl.Series("text", [self.build_text(row) for row in rows], dtype=pl.String)


TASKS = {
    task.name: task
    for task in (
        Task(
            name="stop-reasons",
            kind="multi_label",
            labels=stop_reasons.LABELS,
            max_length=96,  # the registry allows 250 characters
            fields=stop_reasons.FIELDS,
            build_text=stop_reasons.build_text,
            load_gold=stop_reasons.load_gold,
        ),
        Task(
            name="sex",
            kind="multi_class",
            labels=sex.LABELS,
            max_length=256,
            fields=sex.FIELDS,
            build_text=sex.build_text,
            label_columns=("labels", "label", "sex", "gender"),
            synonyms=sex.SYNONYMS,
        ),
    )
}


def get_task(name: str) -> Task:
    """The task called `name`; raises UsageError that suggests the nearest name."""
    if name in TASKS:
        return TASKS[name]
    nearest = difflib.get_close_matches(name.lower(), TASKS, n=1, cutoff=0.0)[0]
    raise UsageError(f"no task is called {name!r}; did you mean {nearest!r}? (tasks: {', '.join(TASKS)})")
