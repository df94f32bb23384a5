"""One annotator's session: the next text, saving answers, earlier answers."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from trialtune.annotation.draws import Drawn, Draws, Given
from trialtune.annotation.labels_file import LabelsFile, NotSavedError
from trialtune.annotation.pool import Item, Pool, Suggestion
from trialtune.annotation.settings import RANDOM, DrawSettings
from trialtune.annotation.trainer import Trainer
from trialtune.dataset.answers import ADJUDICATED, LABELLED, SKIPPED, STATUSES, UNSURE, Answer, Key, now
from trialtune.errors import UsageError
from trialtune.settings import nearest
from trialtune.tasks.task import Task


class GoneError(UsageError):
    """The text is not in this pool."""


@dataclass(frozen=True)
class Said:
    """An annotator's answer to a text."""

    labels: tuple[str, ...] = ()
    status: str = LABELLED
    note: str = ""
    drawn: str = ""  # as the text was shown


@dataclass(frozen=True)
class Saved:
    """The outcome of saving an answer."""

    rows: int  # the answer's, and those of trials with the same wording
    before: bool  # whether the text had been answered
    suggestion: Suggestion | None


class Session:
    """The texts of a pool, answered by one annotator into one file. Safe for several threads."""

    def __init__(
        self,
        task: Task,
        pool: Pool,
        file: LabelsFile,
        *,
        annotator: str,
        settings: DrawSettings,
        trainer: Trainer | None = None,
        suggest_by: Callable[[str], Suggestion | None] | None = None,
    ) -> None:
        self.task, self.pool, self.file, self.annotator = task, pool, file, annotator
        self.trainer = trainer
        self._suggest_by = suggest_by or (trainer.suggest if trainer else None)
        self.adjudicates = bool(pool.opinions)
        self._draws, self._given = Draws(pool, settings, annotator), Given()
        self._lock = threading.Lock()
        self._drawn: Drawn | None = None
        self._places: dict[Key, int] = {}  # of answered texts; -1: not in this pool
        for answer in file.answers:
            if answer.annotator == annotator and (answer.status == ADJUDICATED) == self.adjudicates:
                self._given.add(answer)
        if trainer:
            trainer.offer(file.answers)

    def next(self) -> Drawn:
        """The next text to answer; the same until it is answered."""
        with self._lock:
            return self._next()

    def answer(self, place: int, text_hash: str, said: Said) -> Saved:
        """Save the answer to the text at a position of the pool; when this returns it is synced to disk.

        Raises GoneError when another text is at that position, UsageError for an invalid answer,
        NotSavedError when the file cannot be written.
        """
        self._check(said)
        with self._lock:
            if not 0 <= place < len(self.pool) or (item := self.pool[place]).key[1] != text_hash:
                raise GoneError("the data have changed since this text was shown; reload the page")
            self._places[item.key] = place
            drawn, before = self._next(), self._given.by_key.get(item.key)
            suggestion = self.suggestion(item)
            if drawn.item and drawn.item.key == item.key:
                rows = [*self._repeats(drawn.repeated), self._row(item, said, drawn.way)]
            elif before:
                rows = [*self._same_words(item, said), self._row(item, said, before.drawn)]
            else:  # shown before this process started; a random draw would be shown again
                rows = [self._row(item, said, said.drawn if said.drawn != RANDOM else "")]
            self._save(rows)
            if (last := self._next()).item is None:
                with suppress(NotSavedError):  # the answer is saved, these follow at the next start
                    self._save(self._repeats(last.repeated))
        if self.trainer:
            self.trainer.offer(self.file.answers)
        return Saved(len(rows), before is not None, suggestion)

    def answered(self, back: int) -> tuple[Item, Answer] | None:
        """The text answered `back` texts ago (1: the last one) and its answer; None before the first."""
        with self._lock:
            shown = {answer.key[1]: answer for answer in self._given.by_key.values()}
            here = ((item, answer) for answer in [*shown.values()][::-1] if (item := self._find(answer)))
            return next(islice(here, max(back, 1) - 1, None), None)

    def suggestion(self, item: Item) -> Suggestion | None:
        """A classifier's prediction for a text; none for a sample drawn beforehand."""
        if item.suggestion or self.pool.listed or not self._suggest_by:
            return item.suggestion
        return self._suggest_by(item.text)

    def counts(self) -> dict[str, int]:
        """How many of this annotator's answers have each status, and the most texts that may be left."""
        with self._lock:
            given = [*self._given.by_key.values()]
        found = Counter(answer.status for answer in given)
        return {status: found[status] for status in STATUSES} | {"left": max(0, len(self.pool) - len(given))}

    def label_counts(self) -> dict[str, int]:
        """How many of this annotator's answers have each label."""
        with self._lock:
            found = Counter(label for answer in self._given.by_key.values() for label in answer.labels)
        return {label: found[label] for label in self.task.labels}

    def _find(self, answer: Answer) -> Item | None:
        """The text of an answer, where the pool has it; cached, since pools may hold a million texts."""
        if answer.key not in self._places:
            item = self.pool.find(answer.nct_id, answer.text)
            self._places[answer.key] = item.place if item else -1
        place = self._places[answer.key]
        return self.pool[place] if place >= 0 else None

    def _next(self) -> Drawn:
        if self._drawn is None:
            self._drawn = self._draws.next(self._given, self.trainer.rankings if self.trainer else {})
        return self._drawn

    def _check(self, said: Said) -> None:
        for label in said.labels:
            if label not in self.task.labels:
                raise UsageError(
                    f"{label!r} is not a label of {self.task.name}{nearest(label, [*self.task.labels])}"
                )
        if said.status not in (allowed := (LABELLED, UNSURE, SKIPPED)):
            raise UsageError(f"status {said.status!r} does not exist{nearest(said.status, allowed)}")
        if self.task.kind == "multi_class" and said.status == LABELLED and len(said.labels) != 1:
            raise UsageError(f"{self.task.name} takes one label, not {len(said.labels)}")

    def _row(self, item: Item, said: Said, way: str) -> Answer:
        decides = said.status == LABELLED
        return Answer(
            nct_id=item.nct_id,
            text=item.text,
            labels=tuple(label for label in self.task.labels if label in said.labels) if decides else (),
            annotator=self.annotator,
            status=ADJUDICATED if decides and self.adjudicates else said.status,
            note=" ".join(said.note.split()),
            drawn=way,
            reviewed=bool(self.pool.suggested),
            answered_at=now(),
            passed=item.passed,
        )

    def _repeats(self, items: Iterable[Item]) -> list[Answer]:
        """Answers to texts drawn at random whose wording was answered already."""
        return [self._row(item, _as_said(self._given.by_wording[item.key[1]]), RANDOM) for item in items]

    def _same_words(self, item: Item, said: Said) -> list[Answer]:
        """The answer for the other answered trials with this wording."""
        others = [
            answer
            for key, answer in self._given.by_key.items()
            if key[1] == item.key[1] and key != item.key and not self.pool.listed
        ]
        return [
            self._row(Item(-1, other.nct_id, other.text, passed=other.passed), said, other.drawn)
            for other in others
        ]

    def _save(self, rows: Sequence[Answer]) -> None:
        if rows:
            self.file.append(rows)
        for row in rows:
            self._given.add(row)
        self._drawn = None


def _as_said(answer: Answer) -> Said:
    return Said(answer.labels, answer.status, answer.note)
