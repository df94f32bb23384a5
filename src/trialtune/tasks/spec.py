"""A user's own task, declared in YAML: labels, columns of the text, single- or multi-label."""

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
    """The content of a task's YAML file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="letters, digits, - and _")
    kind: Literal["multi_label", "multi_class"] = Field(
        description="multi_label: any number of labels a text; multi_class: exactly one"
    )
    labels: Annotated[dict[str, str], BeforeValidator(_with_definitions)] = Field(
        min_length=2, description="a list, or label: definition; the order is that of the probabilities"
    )
    text: Names = Field(("text",), description="the column of the text, or several to join")
    label_columns: Names = Field(("labels", "label"), description="the first of these in a table is used")
    synonyms: dict[str, str] = Field({}, description="another spelling: label; '' is an empty cell")
    data: str | None = Field(None, description="used without --data; a path is relative to the YAML file")
    max_length: int = Field(256, ge=8, description="tokens per text")

    @model_validator(mode="after")
    def _one_meaning_a_spelling(self) -> "TaskSpec":
        spelled: dict[str, str] = {}
        for label in self.labels:
            if not normalize_text(label):
                raise ValueError(f"labels: {label!r} has neither letters nor digits; give it a name")
            if (other := spelled.setdefault(normalize_text(label), label)) != label:
                raise ValueError(f"labels: {other!r} and {label!r} are too similar")
        for label in self.labels if self.kind == "multi_label" else ():
            parts = [normalize_text(part) for part in re.split(f"[{DIVIDERS}]", label)]
            if len(parts) > 1 and all(part in spelled for part in parts):
                raise ValueError(f"labels: {label!r} contains other labels and is ambiguous; rename it")
        for spelling, label in self.synonyms.items():
            if label not in self.labels:
                raise ValueError(
                    f"synonyms.{spelling}: {label!r} is not a label{nearest(label, [*self.labels])}"
                )
        return self


def read_task_spec(path: Path) -> TaskSpec:
    """Read a task's YAML file; raises UsageError naming the key and the closest valid one."""
    declared = read_declaration(path, TaskSpec, what="task")
    if declared.data and "://" not in declared.data:
        return declared.model_copy(update={"data": str(path.parent / declared.data)})
    return declared


def join_columns(columns: Sequence[str], row: Mapping[str, Any]) -> str:
    """The text of a row: its columns on one line, as sentences if there are several."""
    found = []
    for column in columns:
        value = row.get(column) or ""
        text = " ".join(clean(value if isinstance(value, str) else ", ".join(value)).split())
        if text and text not in found:
            found.append(text)
    if len(columns) == 1:
        return found[0] if found else ""
    return " ".join(map(ended, found))
