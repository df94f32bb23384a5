"""What a classifier is asked: a name, its labels with definitions, and where text and truth come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trialtune.files import write_json
from trialtune.registry.record.aliases import columns_of
from trialtune.registry.record.text import is_missing
from trialtune.tasks.spec import TaskSpec
from trialtune.tasks.text import Rules

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["multi_label", "multi_class"]
LONGEST = 1_000_000  # characters of a field
TASK_FILE, FORMAT = "task.json", 1  # of a classifier folder; another version has another number


@dataclass(frozen=True)
class Agreement:
    """How two independent passes over the same texts agreed: micro-F1 between them, over so many labels."""

    texts: int
    labels: int
    micro_f1: float

    @property
    def noise(self) -> float:
        """Errors of one pass over the labels that hold: the upper 97.5% bound, by Poisson's distribution.

        Two passes that err independently disagree where either does, so that one has half of what they
        disagree on.
        """
        from scipy.special import gammaincinv  # noqa: PLC0415 - nothing else of a task needs it

        disagreements = 2 * (1 - self.micro_f1) * self.labels
        return float(gammaincinv(disagreements + 1, 0.975) / 2 / self.labels)


@dataclass(frozen=True)
class Task:
    """One classification task over trials.

    Example:
        >>> from trialtune import load_task
        >>> task = load_task("stop-reasons")
        >>> task.kind, len(task.labels)
        ('multi_label', 17)
        >>> task.text_of({"nct_id": "NCT00000001", "why_stopped": "Slow  accrual"})
        'Slow accrual'
    """

    name: str
    kind: Kind
    labels: Mapping[str, str]  # label -> definition; the order is that of the probabilities
    max_length: int  # tokens that hold nearly every text of this task, or its telling part
    fields: tuple[str, ...]  # snapshot columns that the text is built from
    build_text: Callable[[Mapping[str, Any]], str]  # values of `fields` -> text, empty when there is none
    label_columns: tuple[str, ...] = ("labels", "label")
    synonyms: Mapping[str, str] = field(default_factory=dict)  # other spellings, lower case -> label
    load_gold: "Callable[[], pl.DataFrame] | None" = None  # shipped labels [nct_id, labels, split, text_hash]
    gold_agreement: Agreement | None = None  # of two passes over some of those
    keywords: Rules | None = None  # what a reader of the definitions would search for: a baseline
    topic_of: Callable[[str], str] | None = None  # a text's topic, where topics all but give answers away
    spec: TaskSpec | None = None  # of a user's own task

    def text_of(self, record: Mapping[str, Any]) -> str | None:
        """The text that a classifier of this task reads of a record, in training and ever after.

        A record that has columns of the task is read by them alone, even where they are empty: a trial
        without a stop reason has none, whatever its other texts say. Any other record is read by its
        `text`. Columns may go by any name that `registry import` knows.

        Args:
            record: A row of a snapshot or table, as a mapping of column names.

        Returns:
            The cleaned text; None when the record has none, or a field of more than a million characters.
        """
        if self.oversized(record):
            return None
        columns = self.columns_in(record)
        found = {name: record[column] for name, column in columns.items()}
        # "NA" in a column of stop reasons is a program's word for none; a text that is given is one.
        found = {
            name: None if name != "text" and _says_nothing(cell) else cell for name, cell in found.items()
        }
        if self.fields[0] not in found and found.keys() == {"text"} and "text" not in self.fields:
            found = {self.fields[0]: found["text"]}
        return self.build_text(found).strip() or None

    def columns_in(self, names: Mapping[str, Any] | tuple[str, ...]) -> dict[str, str]:
        """Which of a table's columns the text is built from: field (or `text`) -> column; {} for none."""
        return _columns_in(self.fields, tuple(names))

    def oversized(self, record: Mapping[str, Any]) -> bool:
        """Whether a field that the text comes from is too long to be one."""
        columns = self.columns_in(record).values()
        return any(len(record[column] or "") > LONGEST for column in columns)

    def describe(self) -> dict[str, Any]:
        """The task as JSON: all of a user's own but its data file; what decides the text of a shipped one."""
        named = {"name": self.name, "kind": self.kind, "labels": dict(self.labels), "shipped": True}
        described = self.spec.model_dump(mode="json", exclude={"data"}) if self.spec else named
        return {**described, "max_length": self.max_length}

    def save(self, folder: Path) -> None:
        """Write `task.json`, so that a classifier's folder needs no other file."""
        write_json(folder / TASK_FILE, {"format": FORMAT, **self.describe()})


def _says_nothing(cell: object) -> bool:
    return isinstance(cell, str) and is_missing(cell.strip())


@lru_cache(maxsize=256)
def _columns_in(fields: tuple[str, ...], names: tuple[str, ...]) -> dict[str, str]:
    # A column called `text` goes before other spellings of our names: `stop_reason` may hold labels.
    if exact := {name: name for name in fields if name in names}:
        return exact
    if "text" in names:
        return {"text": "text"}
    usual = columns_of(names)
    own = {name: usual[name] for name in fields if name in usual}
    return own or ({"text": usual["text"]} if "text" in usual else {})
