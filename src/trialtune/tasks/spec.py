"""A user's own task, declared in YAML: labels, where the text stands, and what kind of answer is wanted."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from trialtune.corpus.documents import clean
from trialtune.settings import Settings, nearest
from trialtune.tasks.declaration import read_declaration
from trialtune.tasks.text import ended, normalize_text

DIVIDERS = ",;|"  # of the labels in a cell


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _with_definitions(value: Any) -> Any:
    """A list of labels as a mapping without definitions."""
    if isinstance(value, Mapping):
        return {label: text or "" for label, text in value.items()}
    return value if isinstance(value, str) or not isinstance(value, Iterable) else dict.fromkeys(value, "")


Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(min_length=1)]


class TaskSpec(Settings):
    """What a task's YAML file may say."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="letters, digits, - and _")
    kind: Literal["multi_label", "multi_class"] = Field(
        description="multi_label: any number of labels a text; multi_class: exactly one"
    )
    labels: Annotated[dict[str, str], BeforeValidator(_with_definitions)] = Field(
        min_length=2, description="a list, or label: definition; the order is that of the probabilities"
    )
    text: Names = Field(("text",), description="the column of the text, or several to be joined")
    label_columns: Names = Field(("labels", "label"), description="the first of these that a table has")
    synonyms: dict[str, str] = Field({}, description="another spelling: label; '' is an empty cell")
    data: str | None = Field(None, description="used without --data; a path is relative to the YAML file")
    max_length: int = Field(256, ge=8, description="tokens a text")

    @model_validator(mode="after")
    def _one_meaning_a_spelling(self) -> "TaskSpec":
        spelled: dict[str, str] = {}
        for label in self.labels:
            if not normalize_text(label):
                raise ValueError(f"labels: {label!r} holds neither letter nor digit; give it a name")
            if (other := spelled.setdefault(normalize_text(label), label)) != label:
                raise ValueError(f"labels: {other!r} and {label!r} cannot be told apart")
        for label in self.labels if self.kind == "multi_label" else ():
            parts = [normalize_text(part) for part in re.split(f"[{DIVIDERS}]", label)]
            if len(parts) > 1 and all(part in spelled for part in parts):
                raise ValueError(f"labels: {label!r} cannot be told from the labels in it; name it otherwise")
        for spelling, label in self.synonyms.items():
            if label not in self.labels:
                raise ValueError(
                    f"synonyms.{spelling}: {label!r} is no label{nearest(label, [*self.labels])}"
                )
        return self


def read_task_spec(path: Path) -> TaskSpec:
    """Read a task's YAML file; raises UsageError naming the key and the nearest right one."""
    declared = read_declaration(path, TaskSpec, what="task")
    if declared.data and "://" not in declared.data:
        return declared.model_copy(update={"data": str(path.parent / declared.data)})
    return declared


def join_columns(columns: Sequence[str], row: Mapping[str, Any]) -> str:
    """The text of a row: its columns on one line, each a sentence where there are several."""
    found = []
    for column in columns:
        value = row.get(column) or ""
        text = " ".join(clean(value if isinstance(value, str) else ", ".join(value)).split())
        if text and text not in found:
            found.append(text)
    if len(columns) == 1:
        return found[0] if found else ""
    return " ".join(map(ended, found))
