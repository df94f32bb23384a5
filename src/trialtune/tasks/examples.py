"""Labelled examples of a task, read from whatever table the user has."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from trialtune.errors import DataError
from trialtune.tasks.splits import normalise
from trialtune.tasks.stop_reasons import text_hash
from trialtune.tasks.task import LONGEST, Task

_ALIASES = {"eligibility": "eligibility_criteria", "criteria": "eligibility_criteria", "nctid": "nct_id"}
_KEPT = ("source", "date", "start_date", "split")
_MISSING = {"", "none", "nan", "null", "n a", "na", "unknown"}
_NCT_ID = re.compile(r"NCT\d{8}")

CHANGED = "text changed since it was labelled"
EMPTY = "empty text"
TOO_LONG = f"text longer than {LONGEST:,} characters"
BAD_ID = "NCT id is not NCT and eight digits"
NO_LABEL = "no label"


@dataclass(frozen=True)
class Labelled:
    """Labelled rows of one source, and what became of the others.

    `frame` has nct_id (null when unknown), text and labels, and of source, date, start_date, split
    those that the source has. `read` = rows of `frame` + `unlabelled` + `dropped`.
    """

    frame: pl.DataFrame
    read: int
    unlabelled: dict[str, int]  # reason -> rows that nobody labelled: nothing is wrong with them
    dropped: dict[str, int]  # reason -> rows that had to be left out
    quarantined: tuple[dict[str, Any], ...]  # each dropped row: file, row (from 1), nct_id, reason, value

    @property
    def counts(self) -> dict[str, Any]:
        """What became of the rows, as JSON-able numbers."""
        return {
            "read": self.read,
            "kept": len(self.frame),
            "unlabelled": self.unlabelled,
            "dropped": self.dropped,
        }

    @property
    def trainable(self) -> pl.DataFrame:
        """The rows that may be trained on: those marked `dev` or `test` are left out."""
        if "split" not in self.frame.columns:
            return self.frame
        return self.frame.filter(~pl.col("split").is_in(["dev", "test"]).fill_null(False))


def load_examples(task: Task, frame: pl.DataFrame, *, where: str) -> Labelled:
    """Read the labelled rows of `frame`, whose file or table is called `where`.

    Takes a table with `text` and a label column (a list, or names divided by `,`, `;` or `|`), or a
    snapshot: its text is built from the task's own columns, and its labels are those of a label
    column or, for a task with shipped labels, joined by NCT id.

    Raises DataError for missing columns, an unknown label, or when no labelled row is left.
    """
    table = _prepared(frame)
    label_column = next((name for name in task.label_columns if name in table.columns), None)
    has_text = "text" in table.columns or any(name in table.columns for name in task.fields)
    _need_text(table, ("nct_id", "text", *task.fields), where)
    collected = _Collected(task, where)
    if label_column and has_text:
        collected.take_labelled(table, label_column)
    elif task.load_gold and {"nct_id", *task.fields} <= set(table.columns):
        collected.join_gold(table, task.load_gold())
    else:
        raise DataError(_expected(task, frame, where))
    return collected.result(frame.height)


class _Collected:
    """Rows gathered so far, one list a column, and the counts of the others."""

    def __init__(self, task: Task, where: str) -> None:
        self.task, self.where = task, where
        self.rows: list[dict[str, Any]] = []
        self.unlabelled: Counter[str] = Counter()
        self.quarantined: list[dict[str, Any]] = []
        self.extra: dict[str, pl.DataType] = {}
        self.known = {_key(label): label for label in task.labels} | dict(task.synonyms)

    def take_labelled(self, table: pl.DataFrame, label_column: str) -> None:
        """Rows whose labels stand in `label_column`; `text` is read where the task's columns are empty."""
        labels = _label_lists(table[label_column], self.where)
        self._note_extra(table)
        for row, names in zip(table.iter_rows(named=True), labels, strict=True):
            resolved = self._resolve(names, row, label_column)
            if resolved and self.task.oversized(row):
                self._drop(row, TOO_LONG, "")
            elif resolved:
                self._add(row, self.task.text_of(row), resolved)
            else:
                self.unlabelled[NO_LABEL] += 1

    def join_gold(self, table: pl.DataFrame, gold: pl.DataFrame) -> None:
        """Rows of a snapshot whose NCT id has shipped labels, unless the text is another by now."""
        facts = {row["nct_id"]: row for row in gold.iter_rows(named=True)}
        self._note_extra(table)
        self.extra["split"] = pl.String()
        for row in table.iter_rows(named=True):
            text = "" if self.task.oversized(row) else self.task.build_text(row)
            fact = facts.get(_upper(row["nct_id"]))
            if not text:
                self.unlabelled[f"no {self.task.fields[0]}"] += 1
            elif fact is None:
                self.unlabelled["no label for this trial"] += 1
            elif fact["text_hash"] != text_hash(text):
                self._drop(row, CHANGED, text)
            else:
                self._add({**row, "split": fact["split"]}, text, fact["labels"])

    def result(self, read: int) -> Labelled:
        """All that was gathered; raises DataError when no row is left."""
        dropped = dict(Counter(row["reason"] for row in self.quarantined))
        if not self.rows:
            raise DataError(
                f"{self.where}: no labelled row for {self.task.name} (read {read},"
                f" unlabelled {dict(self.unlabelled)}, dropped {dropped})"
            )
        schema = {"nct_id": pl.String(), "text": pl.String(), "labels": pl.List(pl.String()), **self.extra}
        frame = pl.DataFrame(self.rows, schema=schema)
        return Labelled(frame, read, dict(self.unlabelled), dropped, tuple(self.quarantined))

    def _note_extra(self, table: pl.DataFrame) -> None:
        self.extra = {name: table.schema[name] for name in _KEPT if name in table.columns}

    def _add(self, row: dict[str, Any], text: str, labels: list[str]) -> None:
        nct_id = _upper(row.get("nct_id")) or None
        if nct_id and not _NCT_ID.fullmatch(nct_id):
            self._drop(row, BAD_ID, nct_id)
        elif not normalise(text):
            self._drop(row, EMPTY, text)
        else:
            extra = {name: row.get(name) for name in self.extra}
            self.rows.append({"nct_id": nct_id, "text": text, "labels": labels, **extra})

    def _drop(self, row: dict[str, Any], reason: str, value: str) -> None:
        self.quarantined.append(
            {
                "file": self.where,
                "row": row["row"],
                "nct_id": row.get("nct_id"),
                "reason": reason,
                "value": value[:200],
            }
        )

    def _resolve(self, names: Iterable[str], row: dict[str, Any], column: str) -> list[str]:
        """The task's labels for the names as written, in the task's order; [] when there are none."""
        found = set()
        for name in names:
            key = _key(name)
            if key in self.known:
                found.add(self.known[key])
            elif key not in _MISSING:
                nearest = difflib.get_close_matches(key, self.known, n=1, cutoff=0.0)[0]
                raise DataError(
                    f"{self.where}, row {row['row']}, {column}: {name!r} is no label of {self.task.name};"
                    f" did you mean {self.known[nearest]!r}? (labels: {', '.join(self.task.labels)})"
                )
        if self.task.kind == "multi_class" and len(found) > 1:
            raise DataError(
                f"{self.where}, row {row['row']}, {column}: {self.task.name} takes one label, not"
                f" {sorted(found)}; keep the right one"
            )
        return [label for label in self.task.labels if label in found]


def _prepared(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with our column names and its row numbers, from 1, as `row`."""
    names = {name: name.strip().lower().replace(" ", "_") for name in frame.columns}
    renamed = {old: _ALIASES.get(new, new) for old, new in names.items()}
    taken: set[str] = set()
    for old, new in renamed.items():  # two columns of one name: the first keeps it
        renamed[old] = old if new in taken else new
        taken.add(renamed[old])
    table = frame.rename(renamed)
    return table.drop("row", strict=False).with_row_index("row", offset=1)


def _need_text(table: pl.DataFrame, columns: Iterable[str], where: str) -> None:
    for column in columns:
        if table.schema.get(column, pl.String) not in (pl.String, pl.Null, pl.List(pl.String)):
            raise DataError(f"{where}: column {column} holds {table.schema[column]}; it must hold text")


def _label_lists(column: pl.Series, where: str) -> list[list[str]]:
    """The label names of each row, [] where the cell is empty."""
    if column.dtype in (pl.Categorical, pl.Enum, pl.Null):
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        return [re.split(r"[,;|]", cell) if cell else [] for cell in column]
    if isinstance(column.dtype, pl.List | pl.Array) and column.dtype.inner in (
        pl.String,
        pl.Categorical,
        pl.Enum,
        pl.Null,
    ):
        return [[name for name in cell if name] if cell else [] for cell in column.to_list()]
    raise DataError(f"{where}: column {column.name} holds {column.dtype}; it must hold label names")


def _key(name: str) -> str:
    return normalise(name)


def _upper(nct_id: str | None) -> str:
    return (nct_id or "").strip().upper()


def _expected(task: Task, frame: pl.DataFrame, where: str) -> str:
    labels = " or ".join(task.label_columns)
    ways = [f"text and {labels}", f"{' or '.join(task.fields)} and {labels}"]
    if task.load_gold:
        ways.append(f"nct_id and {task.fields[0]} (labels are joined by NCT id)")
    return f"{where}: has the columns {', '.join(frame.columns)}; {task.name} needs {'; or '.join(ways)}"
