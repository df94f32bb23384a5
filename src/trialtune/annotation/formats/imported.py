"""The answers in another program's file, before they are matched to the task's labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trialtune.dataset.answers import LABELLED, Answer
from trialtune.dataset.label_names import LabelNames
from trialtune.registry.record.aliases import columns_of
from trialtune.tasks.task import Task

NOBODY = "not annotated"


@dataclass(frozen=True)
class Found:
    """An answer as a file has it."""

    record: Mapping[str, Any]  # the columns that the text is read from
    names: Sequence[str]
    annotator: str
    place: str  # for messages
    status: str = LABELLED
    note: str = ""
    answered_at: str = ""


@dataclass
class Imported:
    """The answers of a file, and counts of what was left out, by reason."""

    found: list[Found] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)  # what the file leaves ambiguous

    def answers(self, task: Task) -> list[Answer]:
        """The answers in the task's labels; texts that are empty are counted. Raises DataError for others."""
        names, made = LabelNames(task), []
        for one in self.found:
            text = task.text_of(one.record)
            if not text:
                self.left_out["empty text"] += 1
                continue
            labels = names.resolve(one.names, one.place) if one.status == LABELLED else ()
            made.append(
                Answer(
                    nct_id=_nct_id(one.record),
                    text=text,
                    labels=tuple(labels),
                    annotator=one.annotator,
                    status=one.status,
                    note=" ".join(one.note.split()),
                    answered_at=one.answered_at,
                )
            )
        return made


def _nct_id(record: Mapping[str, Any]) -> str:
    column = columns_of(tuple(record)).get("nct_id")
    return str(record[column] or "").strip() if column else ""
