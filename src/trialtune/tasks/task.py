"""A classification task: a name, labels with definitions, and the sources of text and labels."""

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
TASK_FILE, FORMAT = "task.json", 1  # of a classifier folder; incremented with its format


@dataclass(frozen=True)
class Agreement:
    """Agreement of two independent annotation passes over the same texts: micro-F1 between them."""

    texts: int
    labels: int
    micro_f1: float

    @property
    def noise(self) -> float:
        """The error rate of one pass: the upper 97.5% bound, by the Poisson distribution.

        Two passes with independent errors disagree where either errs, so that one has half of the
        disagreements.
        """
        from scipy.special import gammaincinv  # noqa: PLC0415 - only needed here

        disagreements = 2 * (1 - self.micro_f1) * self.labels
        return float(gammaincinv(disagreements + 1, 0.975) / 2 / self.labels)


@dataclass(frozen=True)
class Task:
    """One classification task over trials.

    Examples:
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
    max_length: int  # tokens that cover nearly every text of this task, or its informative part
    fields: tuple[str, ...]  # snapshot columns that the text is built from
    build_text: Callable[[Mapping[str, Any]], str]  # values of `fields` -> text, empty when there is none
    label_columns: tuple[str, ...] = ("labels", "label")
    synonyms: Mapping[str, str] = field(default_factory=dict)  # other spellings, lower case -> label
    load_gold: "Callable[[], pl.DataFrame] | None" = None  # shipped labels [nct_id, labels, split, text_hash]
    gold_agreement: Agreement | None = None  # of two passes over some of those
    keywords: Rules | None = None  # a baseline, written from the definitions
    topic_of: Callable[[str], str] | None = None  # a text's topic, where topics nearly determine the label
    spec: TaskSpec | None = None  # of a user's own task

    def text_of(self, record: Mapping[str, Any]) -> str | None:
        """The input text of a record for this task, the same in training and prediction.

        For a record with columns of the task only these are used, even where they are empty: a trial
        without a stop reason has no text, whatever its other fields. For any other record it is its
        `text`. Columns may have any name that `registry import` knows.

        Args:
            record: A row of a snapshot or table, as a mapping of column names.

        Returns:
            The cleaned text; None when the record has none, or a field of more than a million characters.
        """
        if self.oversized(record):
            return None
        columns = self.columns_in(record)
        found = {name: record[column] for name, column in columns.items()}
        # "NA" in a column of stop reasons is a missing value; in a ready-made text it is text.
        found = {
            name: None if name != "text" and _says_nothing(cell) else cell for name, cell in found.items()
        }
        if self.fields[0] not in found and found.keys() == {"text"} and "text" not in self.fields:
            found = {self.fields[0]: found["text"]}
        return self.build_text(found).strip() or None

    def columns_in(self, names: Mapping[str, Any] | tuple[str, ...]) -> dict[str, str]:
        """The columns of a table used for the text: field (or `text`) -> column; {} for none."""
        return _columns_in(self.fields, tuple(names))

    def oversized(self, record: Mapping[str, Any]) -> bool:
        """Whether a field of the text is too long."""
        columns = self.columns_in(record).values()
        return any(len(record[column] or "") > LONGEST for column in columns)

    def describe(self) -> dict[str, Any]:
        """The task as JSON: a user's own without its data file; for a shipped one what defines its text."""
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
    # A column named `text` takes precedence over aliases: `stop_reason` may hold labels.
    if exact := {name: name for name in fields if name in names}:
        return exact
    if "text" in names:
        return {"text": "text"}
    usual = columns_of(names)
    own = {name: usual[name] for name in fields if name in usual}
    return own or ({"text": usual["text"]} if "text" in usual else {})
