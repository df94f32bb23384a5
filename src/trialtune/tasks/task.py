"""What a classifier is asked: a name, its labels with definitions, and where text and truth come from."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import ValidationError

from trialtune.errors import DataError, UsageError
from trialtune.files import read_json, write_json
from trialtune.tasks import sex, stop_reasons
from trialtune.tasks.columns import plain_name
from trialtune.tasks.declaration import Declaration, join_columns, read_declaration

LONGEST = 1_000_000  # characters of a field
TASK_FILE = "task.json"


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
    declaration: Declaration | None = None  # of a user's own task

    def text_of(self, row: Mapping[str, Any]) -> str:
        """The text of one row: from the task's own columns, else its `text`; both cleaned alike."""
        return self.build_text(row) or self.build_text({self.fields[0]: row.get("text") or ""})

    def oversized(self, row: Mapping[str, Any]) -> bool:
        """Whether a field that the text comes from is too long to be one."""
        return any(len(row.get(name) or "") > LONGEST for name in (*self.fields, "text"))

    def describe(self) -> dict[str, Any]:
        """The task as JSON: all of a declared one but its data file, the name and labels of a shipped one."""
        if self.declaration:
            return self.declaration.model_dump(mode="json", exclude={"data"})
        return {"name": self.name, "kind": self.kind, "labels": dict(self.labels), "shipped": True}

    def save(self, folder: Path) -> None:
        """Write `task.json`, so that a classifier's folder needs no other file."""
        write_json(folder / TASK_FILE, self.describe())


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
            name=sex.NAME,
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


def get_task(name: str | Path) -> Task:
    """The shipped task called `name`, or the task that a YAML file of that path declares.

    Raises UsageError that suggests the nearest name, or the nearest key of the file.
    """
    name = str(name)
    if name in TASKS:
        return TASKS[name]
    if Path(name).suffix.lower() in (".yaml", ".yml"):
        declared = read_declaration(Path(name))
        if declared.name in TASKS:
            raise UsageError(f"{name}: name: a shipped task is called {declared.name!r}; choose another name")
        return declared_task(declared)
    nearest = difflib.get_close_matches(name.lower(), TASKS, n=1, cutoff=0.0)[0]
    raise UsageError(
        f"no task is called {name!r}; did you mean {nearest!r}?"
        f" (tasks: {', '.join(TASKS)}, or your own .yaml file)"
    )


def declared_task(declared: Declaration) -> Task:
    """The task of a declaration."""
    fields = tuple(map(plain_name, declared.text))
    return Task(
        name=declared.name,
        kind=declared.kind,
        labels=declared.labels,
        max_length=declared.max_length,
        fields=fields,
        build_text=partial(join_columns, fields),
        label_columns=tuple(map(plain_name, declared.label_columns)),
        synonyms=declared.synonyms,
        declaration=declared,
    )


def task_of(folder: Path) -> Task:
    """The task of a classifier folder, from its `task.json`, or the name in `training.json` of older ones.

    Raises DataError when the folder names no task that can be opened.
    """
    named = folder / TASK_FILE
    if not named.is_file():
        named = folder / "training.json"
    if not named.is_file():
        raise DataError(f"{folder}: not a classifier folder; make one with `trialtune finetune`")
    described = read_json(named)
    name = described.get("name" if named.name == TASK_FILE else "task")
    if name in TASKS:
        return TASKS[name]
    try:
        return declared_task(Declaration.model_validate(described))
    except ValidationError as error:
        raise DataError(f"{named}: describes no task ({error.errors()[0]['msg']}); train it again") from error
