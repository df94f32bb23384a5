"""What a classifier is asked: a name, its labels with definitions, and where text and truth come from."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from trialtune.errors import UsageError
from trialtune.tasks import sex, stop_reasons

LONGEST = 1_000_000  # characters of a field


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

    def text_of(self, row: Mapping[str, Any]) -> str:
        """The text of one row: from the task's own columns, else its `text`; both cleaned alike."""
        return self.build_text(row) or self.build_text({self.fields[0]: row.get("text") or ""})

    def oversized(self, row: Mapping[str, Any]) -> bool:
        """Whether a field that the text comes from is too long to be one."""
        return any(len(row.get(name) or "") > LONGEST for name in (*self.fields, "text"))


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
