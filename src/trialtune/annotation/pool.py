"""The texts to label: from a snapshot, a table, a sample sheet, or predictions that need review."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from trialtune.dataset.answers import ADJUDICATED, Answer, Key, has_words, latest
from trialtune.dataset.columns import ids_and_texts, label_cells, prepared
from trialtune.dataset.label_names import LabelNames
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError, UsageError
from trialtune.registry.record.aliases import columns_of
from trialtune.registry.snapshot.read import snapshot_file
from trialtune.tasks.task import Task
from trialtune.tasks.text import wording_hash

SHEET_COLUMNS = ("stratum", "drawing_probability")  # of a sample drawn beforehand


@dataclass(frozen=True)
class Suggestion:
    """A classifier's prediction for a text."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]  # empty where they are not known


@dataclass(frozen=True)
class Item:
    """A text to label, with its metadata."""

    place: int  # in the pool
    nct_id: str
    text: str
    title: str = ""
    passed: Mapping[str, str] = field(default_factory=dict)
    suggestion: Suggestion | None = None
    opinions: tuple[Answer, ...] = ()

    @property
    def key(self) -> Key:
        """The trial and the wording, as of an answer."""
        return self.nct_id.strip().upper(), wording_hash(self.text)


@dataclass(frozen=True)
class Pool:
    """Texts by position, and how many rows have no text.

    `listed` ones must all be answered, in order: a sheet drawn beforehand, predictions to be
    reviewed (`suggested`), or texts on which annotators disagree (`opinions`).
    """

    ids: Sequence[str]
    texts: Sequence[str]
    titles: Sequence[str]
    passed: Mapping[str, Sequence[str]]
    suggested: Sequence[Suggestion] = ()
    opinions: Sequence[tuple[Answer, ...]] = ()
    listed: bool = False
    empty: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, place: int) -> Item:
        return Item(
            place,
            self.ids[place],
            self.texts[place],
            self.titles[place],
            {name: cells[place] for name, cells in self.passed.items()},
            self.suggested[place] if self.suggested else None,
            self.opinions[place] if self.opinions else (),
        )

    def find(self, nct_id: str, text: str) -> Item | None:
        """The text of a trial, if the pool has it."""
        rows = enumerate(zip(self.ids, self.texts, strict=True))
        return next((self[place] for place, row in rows if row == (nct_id, text)), None)


def read_pool(task: Task, path: Path | str, *, review: bool = False) -> Pool:
    """The texts of a snapshot or table; with `review`, those of predictions that need it.

    A table with the columns of `SHEET_COLUMNS` is a sample drawn beforehand. Raises DataError
    when there is no text, UsageError when `review` is set for a table without predictions.
    """
    table = _read(task, path)
    if review:
        table = _to_review(table, path)
    ids, texts = ids_and_texts(task, table, where=str(path))
    kept = [place for place, text in enumerate(texts) if text and has_words(text)]
    if not kept:
        raise DataError(f"{path}: none of its {len(texts):,} rows has a text for {task.name}")
    rows = prepared(table)[kept]
    sheet = set(SHEET_COLUMNS) <= set(rows.columns)
    title = columns_of(tuple(table.columns)).get("brief_title")
    titles = table[title][kept].cast(pl.String).fill_null("").to_list() if title else [""] * len(kept)
    return Pool(
        ids=[(ids[place] or "").strip() for place in kept],
        texts=[texts[place] or "" for place in kept],
        titles=titles,
        passed={
            name: rows[name].cast(pl.String).fill_null("").to_list()
            for name in SHEET_COLUMNS
            if name in rows.columns
        },
        suggested=_suggestions(task, table[kept], str(path)) if review else (),
        listed=sheet or review,
        empty=len(texts) - len(kept),
    )


def disagreements(answers: Sequence[Answer]) -> Pool:
    """The texts to which annotators gave different labels, including adjudicated ones."""
    found = []
    for said in latest(answers).values():
        own = tuple(answer for answer in said.values() if answer.status != ADJUDICATED)
        if len({answer.labels for answer in own if answer.decides}) > 1:
            found.append(own)
    found.sort(key=lambda own: own[0].row)
    return Pool(
        ids=[own[0].nct_id for own in found],
        texts=[own[0].text for own in found],
        titles=[""] * len(found),
        passed={
            name: [own[0].passed[name] for own in found] for name in (found[0][0].passed if found else ())
        },
        opinions=found,
        listed=True,
    )


def _read(task: Task, path: Path | str) -> pl.DataFrame:
    """The table; of a large one only the columns that are shown or used."""
    given = Path(path)
    if (given / "labels").is_dir():  # of trialtune apply
        return pl.read_parquet(given / "labels" / "*.parquet")
    given = snapshot_file(given)
    if given.suffix.lower() != ".parquet" or not given.is_file():
        return read_table(path if str(path).startswith("hf://") else given)
    names = tuple(pl.scan_parquet(given).collect_schema())
    texts = {*task.columns_in(names).values(), *task.fields, "text"}
    known = {columns_of(names).get("nct_id"), columns_of(names).get("brief_title")}
    others = {"nct_id", *SHEET_COLUMNS, "labels", "probabilities", "needs_review"}
    shown = [name for name in names if name in texts | known | others or name.lower() in others]
    return pl.read_parquet(given, columns=shown) if shown else read_table(given)


def _to_review(table: pl.DataFrame, path: Path | str) -> pl.DataFrame:
    if "needs_review" not in table.columns or "labels" not in table.columns:
        raise UsageError(
            f"--review: {path} has no columns needs_review and labels; give what `trialtune apply` or"
            " `predict --output` wrote"
        )
    marked = table.filter(pl.col("needs_review").cast(pl.String).str.to_lowercase() == "true")
    if marked.is_empty():
        raise DataError(f"{path}: none of its {len(table):,} rows needs review")
    return marked


def _suggestions(task: Task, rows: pl.DataFrame, where: str) -> list[Suggestion]:
    names = LabelNames(task)
    cells = label_cells(rows["labels"], names.known, kind=task.kind, where=where)
    stated = _probabilities(task, rows)
    return [
        Suggestion(tuple(names.resolve(given, f"{where}, labels")), likely)
        for given, likely in zip(cells, stated, strict=True)
    ]


def _probabilities(task: Task, rows: pl.DataFrame) -> Sequence[Mapping[str, float]]:
    """Label -> probability of each row, from a struct or from its columns in a CSV."""
    if "probabilities" in rows.columns:
        return [_numbers(task, cell or {}) for cell in rows["probabilities"].to_list()]
    columns = {label: f"probability_{label}" for label in task.labels}
    there = {label: column for label, column in columns.items() if column in rows.columns}
    return [
        _numbers(task, {label: row[column] for label, column in there.items()})
        for row in rows.iter_rows(named=True)
    ]


def _numbers(task: Task, stated: Mapping[str, Any]) -> dict[str, float]:
    return {label: float(stated[label]) for label in task.labels if stated.get(label) not in (None, "")}
