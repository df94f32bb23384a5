"""Annotators' answers, as `trialtune annotate` writes them, and which of them count."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import polars as pl

from trialtune.dataset.columns import label_cells
from trialtune.dataset.label_names import LabelNames
from trialtune.errors import DataError
from trialtune.settings import nearest
from trialtune.tasks.task import Task
from trialtune.tasks.text import normalize_text, wording_hash

#: The columns of a labels file, in order; columns of the sampling design may follow.
ANSWER_COLUMNS = (
    "nct_id",  # empty where unknown
    "text",  # as the task normalizes it
    "labels",  # joined by |
    "annotator",
    "status",
    "note",
    "drawn",
    "reviewed",  # true: a reviewed prediction of a classifier
    "answered_at",  # UTC
    "text_hash",  # of the wording
)
LABELLED, UNSURE, SKIPPED, ADJUDICATED = STATUSES = ("labelled", "unsure", "skipped", "adjudicated")
NEEDED = ("text", "labels", "annotator", "status")
_TELLING = {"annotator", "status", "drawn", "answered_at"}  # two of these are no coincidence

LATER = "answered again later"
AGREES = "another annotator gave the same labels"
SETTLED = "settled by adjudication"
OUTVOTED = "most annotators gave other labels"
DISAGREE = "annotators disagree: adjudicate with trialtune annotate --adjudicate"
CHANGED = "text has changed since it was labelled"

Key = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """An annotator's answer to one text."""

    nct_id: str
    text: str
    labels: tuple[str, ...]  # in task order
    annotator: str
    status: str = LABELLED
    note: str = ""
    drawn: str = ""
    reviewed: bool = False
    answered_at: str = ""  # ISO 8601; empty where it is not known
    text_hash: str = ""
    passed: Mapping[str, str] = field(default_factory=dict)  # other columns
    row: int = 0  # of the file, from 1

    @cached_property
    def key(self) -> Key:
        """The trial and the wording, which identify an answer."""
        return self.nct_id.strip().upper(), wording_hash(self.text)

    @property
    def decides(self) -> bool:
        """Whether it decides the labels."""
        return self.status in (LABELLED, ADJUDICATED)

    def cells(self) -> dict[str, str]:
        """The row of a labels file."""
        return {
            **self.passed,
            **{name: getattr(self, name) for name in ANSWER_COLUMNS},
            "labels": "|".join(self.labels),
            "reviewed": "true" if self.reviewed else "",
            "text_hash": self.key[1],
        }


def now() -> str:
    """The time of an answer: UTC, to the microsecond, so that rows can be sorted."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def holds_answers(columns: Iterable[str]) -> bool:
    """Whether a table is a labels file, judging by its columns."""
    return len(_TELLING & set(columns)) > 1


def read_answers(task: Task, frame: pl.DataFrame, *, where: str) -> list[Answer]:
    """The answers of a labels file that Polars has read, in the order in which they were given.

    Rows without a time come first. Raises DataError naming row and field of an invalid value.
    """
    if missing := [name for name in NEEDED if name not in frame.columns]:
        raise DataError(f"{where}: has no column {missing[0]}; a labels file has {', '.join(ANSWER_COLUMNS)}")
    names = LabelNames(task)
    cells = label_cells(frame["labels"], names.known, kind=task.kind, where=where)
    rows = enumerate(zip(frame.iter_rows(named=True), cells, strict=True), start=1)
    answers = [_answer(row, number, names, given, where) for number, (row, given) in rows]
    return sorted(answers, key=lambda answer: _time(answer, where))


def _answer(
    row: Mapping[str, Any], number: int, names: LabelNames, given: Sequence[str], where: str
) -> Answer:
    plain = {name: "" if cell is None else str(cell) for name, cell in row.items() if name != "labels"}
    place = f"{where}, row {number}"
    status = plain["status"].strip().lower()
    if status not in STATUSES:
        torn = "; the row may be truncated or shifted: fix it or delete it" if not status else ""
        hint = nearest(status, STATUSES) if status else f"; one of {', '.join(STATUSES)}"
        raise DataError(f"{place}: status {status!r} is not valid{hint}{torn}")
    if not plain["annotator"].strip():
        raise DataError(f"{place}: annotator is empty; fill in who answered")
    known = {name: plain[name] for name in ANSWER_COLUMNS if name in plain and name != "reviewed"}
    return Answer(
        **{**known, "status": status, "annotator": plain["annotator"].strip()},
        labels=tuple(names.resolve(given, f"{place}, labels")),
        reviewed=plain.get("reviewed", "").strip().lower() in ("true", "1", "yes"),
        passed={name: cell for name, cell in plain.items() if name not in ANSWER_COLUMNS and name != "row"},
        row=number,
    )


def _time(answer: Answer, where: str) -> datetime:
    if not answer.answered_at.strip():
        return datetime.min.replace(tzinfo=UTC)
    try:
        time = datetime.fromisoformat(answer.answered_at.strip())
    except ValueError as error:
        raise DataError(
            f"{where}, row {answer.row}: answered_at {answer.answered_at!r} is not a time; write it as"
            " 2026-01-31T12:00:00Z, or leave it empty"
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def latest(answers: Iterable[Answer]) -> dict[Key, dict[str, Answer]]:
    """For each trial and wording, each annotator's last answer; the adjudicated one has the key "".

    Adjudicated answers are separate from the same person's answers as an annotator.
    """
    found: dict[Key, dict[str, Answer]] = defaultdict(dict)
    for answer in answers:
        found[answer.key]["" if answer.status == ADJUDICATED else answer.annotator] = answer
    return dict(found)


@dataclass(frozen=True)
class Settled:
    """The answers that count, one for each trial and wording, and why the others do not."""

    chosen: tuple[Answer, ...]
    passed_over: Mapping[str, int]  # reason -> valid answers that do not count
    left_out: tuple[tuple[Answer, str], ...]  # answers that cannot be used, and the reason


def settle(answers: Sequence[Answer]) -> Settled:
    """Resolve the answers to one per text.

    Each annotator's last answer is used. An adjudicated answer overrides all; without one, the set of labels
    given by more than half of the annotators who gave any. Without a majority, nothing counts. A text
    edited after it was labelled (`text_hash`) is left out too.
    """
    changed = [answer for answer in answers if answer.text_hash and answer.text_hash != answer.key[1]]
    edited = {answer.row for answer in changed}
    sound = [answer for answer in answers if answer.row not in edited]
    by_key = latest(sound)
    counts: Counter[str] = Counter({LATER: len(sound) - sum(map(len, by_key.values()))})
    chosen: list[Answer] = []
    left_out = [(answer, CHANGED) for answer in changed]
    for said in by_key.values():
        if "" in said:
            chosen.append(said.pop(""))
            counts[SETTLED] += len(said)
            continue
        votes = [answer for answer in said.values() if answer.status == LABELLED]
        counts.update(answer.status for answer in said.values() if answer.status != LABELLED)
        agreed = majority(votes)
        if agreed is None:
            left_out += [(answer, DISAGREE) for answer in votes]
            continue
        same = [answer for answer in votes if answer.labels == agreed]
        chosen.append(same[0])
        counts[AGREES] += len(same) - 1
        counts[OUTVOTED] += len(votes) - len(same)
    chosen.sort(key=lambda answer: answer.row)
    return Settled(tuple(chosen), {why: count for why, count in counts.items() if count}, tuple(left_out))


def majority(votes: Sequence[Answer]) -> tuple[str, ...] | None:
    """The labels of more than half of the votes; None without a majority."""
    if not votes:
        return None
    [(labels, count)] = Counter(vote.labels for vote in votes).most_common(1)
    return labels if 2 * count > len(votes) else None


def has_words(text: str) -> bool:
    """Whether a text is not blank."""
    return bool(normalize_text(text))
