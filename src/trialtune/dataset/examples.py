"""Labelled examples of a task, read from user tables in several layouts."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from trialtune.dataset.answers import Settled, holds_answers, read_answers, settle
from trialtune.dataset.columns import label_cells, label_flags, prepared, readable
from trialtune.dataset.label_names import LabelNames
from trialtune.errors import DataError
from trialtune.tasks.task import LONGEST, Task
from trialtune.tasks.text import normalize_text, wording_hash

_KEPT = ("source", "date", "start_date", "split")
_NCT_ID = re.compile(r"NCT\d{8}")

CHANGED = "text changed since it was labelled"
EMPTY = "empty text"
TOO_LONG = f"text longer than {LONGEST:,} characters"
BAD_ID = "NCT id is not NCT and eight digits"
NO_LABEL = "no label"
REPEATED = "same trial and text as an earlier row"
CONTRADICTED = "same trial and text as an earlier row, but other labels"
CONFLICT = "kept, but other trials with this text have other labels"


@dataclass(frozen=True)
class Labelled:
    """Labelled rows of one source, and counts of the others.

    `frame` has nct_id (null when unknown), text and labels, and any of source, date, start_date and split
    that the source has. `read` = rows of `frame` + `unlabelled` + `dropped`. No trial has the
    same text twice: the first row is kept.
    """

    frame: pl.DataFrame
    read: int
    unlabelled: dict[str, int]  # reason -> valid rows without labels
    dropped: dict[str, int]  # reason -> rows that had to be left out
    quarantined: tuple[dict[str, Any], ...]  # each dropped row: file, row (from 1), nct_id, reason, value
    conflicts: tuple[dict[str, Any], ...] = ()  # kept rows with other labels in another row, likewise

    @property
    def counts(self) -> dict[str, Any]:
        """The counts, as JSON-serializable numbers."""
        return {
            "read": self.read,
            "kept": len(self.frame),
            "unlabelled": self.unlabelled,
            "dropped": self.dropped,
            "conflicting": len(self.conflicts),
        }

    def sentence(self) -> str:
        """The counts in words."""
        left = {**self.unlabelled, **self.dropped}
        why = "; ".join(f"{count:,}: {reason}" for reason, count in left.items() if count)
        said = f"{self.read:,} rows read, {len(self.frame):,} labelled" + (f" ({why})" if why else "")
        return f"{said}; {len(self.conflicts):,} of them: {CONFLICT}" if self.conflicts else said

    @property
    def trainable(self) -> pl.DataFrame:
        """The rows usable for training: those marked `dev` or `test` are left out."""
        if "split" not in self.frame.columns:
            return self.frame
        return self.frame.filter(~pl.col("split").is_in(["dev", "test"]).fill_null(False))


def load_examples(task: Task, frame: pl.DataFrame, *, where: str) -> Labelled:
    """Read the labelled rows of `frame`, named `where` in messages.

    Takes a table with `text` and a label column (a list, or names separated by `,`, `;` or `|`) or one
    true/false or 0/1 column for each label, or a snapshot: its text is built from the task's own
    columns, and its labels are those of a label column or, for a task with shipped labels, joined by
    NCT id. A labels file of `trialtune annotate` is read as `settle` says.

    Raises DataError for missing columns, an unknown label, or when no labelled row is left.
    """
    table = prepared(frame).drop("row", strict=False).with_row_index("row", offset=1)
    collected = _Collected(task, where)
    if holds_answers(table.columns):
        collected.take_settled(settle(read_answers(task, table, where=where)))
        return collected.result(frame.height)
    label_column = next((name for name in task.label_columns if name in table.columns), None)
    read = task.columns_in(tuple(table.columns))
    has_text = bool(read)
    table = readable(frame, table, read, where)
    known = collected.names.known
    flags = {name: known[key] for name in table.columns if (key := normalize_text(name)) in known}
    if label_column and has_text:
        cells = label_cells(table[label_column], known, kind=task.kind, where=where)
        collected.take_labelled(table, cells, label_column)
    elif has_text and set(flags.values()) == set(task.labels):
        collected.take_labelled(table, label_flags(table, flags, where), "label columns")
    elif task.load_gold and {"nct_id", *task.fields} <= set(table.columns):
        collected.join_gold(table, task.load_gold())
    else:
        raise DataError(_expected(task, frame, flags.values(), where))
    return collected.result(frame.height)


class _Collected:
    """Rows collected so far, one list per column, and the counts of the others."""

    def __init__(self, task: Task, where: str) -> None:
        self.task, self.where = task, where
        self.rows: list[dict[str, Any]] = []
        self.unlabelled: Counter[str] = Counter()
        self.quarantined: list[dict[str, Any]] = []
        self.extra: dict[str, pl.DataType] = {}
        self.names = LabelNames(task)
        self.met: dict[tuple[str, str], list[str]] = {}  # trial and wording -> labels
        self.origins: list[dict[str, Any]] = []  # of each row kept, as in `quarantined`

    def take_labelled(self, table: pl.DataFrame, labels: list[list[str]], label_column: str) -> None:
        """Rows with their labels as written."""
        self._note_extra(table)
        for row, names in zip(table.iter_rows(named=True), labels, strict=True):
            place = f"{self.where}, row {row['row']}, {label_column}"
            resolved = self.names.resolve(names, place)
            if resolved and self.task.oversized(row):
                self._drop(row, TOO_LONG, "")
            elif resolved:
                self._add(row, self.task.text_of(row) or "", resolved)
            else:
                self.unlabelled[NO_LABEL] += 1

    def take_settled(self, settled: Settled) -> None:
        """The annotators' answers that count."""
        for answer, reason in settled.left_out:
            self._drop({"row": answer.row, "nct_id": answer.nct_id or None}, reason, answer.text)
        self.unlabelled.update(settled.passed_over)
        chosen = [
            {"row": answer.row, "nct_id": answer.nct_id or None, "text": answer.text}
            for answer in settled.chosen
        ]
        schema = {"row": pl.UInt32(), "nct_id": pl.String(), "text": pl.String()}
        labels = [[*answer.labels] for answer in settled.chosen]
        self.take_labelled(pl.DataFrame(chosen, schema=schema), labels, "labels")

    def join_gold(self, table: pl.DataFrame, gold: pl.DataFrame) -> None:
        """Rows of a snapshot whose NCT id has shipped labels, unless the text has changed."""
        facts = {row["nct_id"]: row for row in gold.iter_rows(named=True)}
        self._note_extra(table)
        self.extra["split"] = pl.String()
        for row in table.iter_rows(named=True):
            text = self.task.text_of(row)
            fact = facts.get(_upper(row["nct_id"]))
            if not text:
                self.unlabelled[f"no {self.task.fields[0]}"] += 1
            elif fact is None:
                self.unlabelled["no label for this trial"] += 1
            elif fact["text_hash"] != wording_hash(text):
                self._drop(row, CHANGED, text)
            else:
                self._add({**row, "split": fact["split"]}, text, fact["labels"])

    def result(self, read: int) -> Labelled:
        """All rows kept; raises DataError when there are none."""
        dropped = dict(Counter(row["reason"] for row in self.quarantined))
        if not self.rows:
            raise DataError(
                f"{self.where}: no labelled row for {self.task.name} (read {read},"
                f" unlabelled {dict(self.unlabelled)}, dropped {dropped})"
            )
        schema = {"nct_id": pl.String(), "text": pl.String(), "labels": pl.List(pl.String()), **self.extra}
        frame = pl.DataFrame(self.rows, schema=schema)
        return Labelled(
            frame, read, dict(self.unlabelled), dropped, tuple(self.quarantined), self._conflicts()
        )

    def _conflicts(self) -> tuple[dict[str, Any], ...]:
        """The indices of rows whose wording has other labels in another row."""
        labels_of: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for (_, wording), labels in self.met.items():
            labels_of[wording].add(tuple(labels))
        met = zip(self.met, self.origins, strict=True)
        return tuple(origin for (_, wording), origin in met if len(labels_of[wording]) > 1)

    def _note_extra(self, table: pl.DataFrame) -> None:
        self.extra = {name: table.schema[name] for name in _KEPT if name in table.columns}

    def _add(self, row: dict[str, Any], text: str, labels: list[str]) -> None:
        nct_id = _upper(row.get("nct_id")) or None
        if nct_id and not _NCT_ID.fullmatch(nct_id):
            self._drop(row, BAD_ID, nct_id)
        elif not (wording := normalize_text(text)):
            self._drop(row, EMPTY, text)
        elif nct_id and (nct_id, wording) in self.met:
            same = self.met[nct_id, wording] == labels
            self._drop(row, REPEATED if same else CONTRADICTED, text)
        else:
            # Without an id each row may be a trial of its own.
            self.met[nct_id or f"row {row['row']}", wording] = labels
            self.origins.append(self._origin(row, CONFLICT, text))
            extra = {name: row.get(name) for name in self.extra}
            self.rows.append({"nct_id": nct_id, "text": text, "labels": labels, **extra})

    def _drop(self, row: dict[str, Any], reason: str, value: str) -> None:
        self.quarantined.append(self._origin(row, reason, value))

    def _origin(self, row: dict[str, Any], reason: str, value: str) -> dict[str, Any]:
        place = {"file": self.where, "row": row["row"], "nct_id": row.get("nct_id")}
        return {**place, "reason": reason, "value": value[:200]}


def _upper(nct_id: str | None) -> str:
    return (nct_id or "").strip().upper()


def _expected(task: Task, frame: pl.DataFrame, flags: Iterable[str], where: str) -> str:
    labels = " or ".join(task.label_columns)
    missing = [label for label in task.labels if label not in flags]
    each = f" (missing: {', '.join(missing)})" if len(missing) < len(task.labels) else ""
    ways = [f"text and {labels}", f"text and a true/false column for each label{each}"]
    if task.fields != ("text",):
        ways.append(f"{' or '.join(task.fields)} and {labels}")
    if task.load_gold:
        ways.append(f"nct_id and {task.fields[0]} (labels are joined by NCT id)")
    own = ". Or name your columns in the task: `text: COLUMN`, `label_columns: COLUMN`" if task.spec else ""
    return f"{where}: has the columns {', '.join(frame.columns)}; {task.name} needs {'; or '.join(ways)}{own}"
