"""One model, one thread: the texts of all requests wait in one queue and are scored together."""

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trialtune.evaluation.thresholds import Decided

_CHARACTERS_A_TOKEN = 4  # of English; only how many texts go together hangs on it
_TOKENS_A_BATCH = 4096  # small enough that a text alone need not wait long


class QueueFullError(Exception):
    """No place for more texts; `retry_after` says in how many seconds there may be."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many texts are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


class ClosedError(Exception):
    """The service is shutting down and takes no more texts."""


@dataclass(frozen=True)
class Answer:
    """What was decided about one text."""

    probabilities: np.ndarray  # [labels], calibrated
    labels: np.ndarray  # [labels], boolean
    needs_review: bool


class _Ticket:
    """The texts of one request and the answers so far; only the worker touches the answers."""

    def __init__(self, count: int) -> None:
        self.future: Future[list[Answer]] = Future()
        self._answers: list[Answer | None] = [None] * count
        self._missing = count

    def give(self, place: int, answer: Answer) -> None:
        self._answers[place] = answer
        self._missing -= 1
        if not self._missing:
            self._settle(lambda: self.future.set_result([a for a in self._answers if a is not None]))

    def fail(self, error: BaseException) -> None:
        self._settle(lambda: self.future.set_exception(error))

    @staticmethod
    def _settle(settle: Callable[[], None]) -> None:
        with contextlib.suppress(InvalidStateError):  # given up by who asked, or failed already
            settle()


class _Waiting(NamedTuple):
    text: str
    place: int  # among the texts of its request
    ticket: _Ticket


class Scorer:
    """Scores texts in a thread of its own, those of many requests in one batch.

    `decide` answers a list of texts; `capacity` is how many texts may wait. Batches are taken in
    order of arrival, as many texts as hold about `tokens` tokens (dynamic batching), so nobody waits
    for a batch to fill. What was accepted is answered, also after `close`.
    """

    def __init__(
        self,
        decide: Callable[[Sequence[str]], Decided],
        *,
        max_length: int,
        capacity: int,
        tokens: int = _TOKENS_A_BATCH,
        scored: Callable[[int, float], None] | None = None,
    ) -> None:
        self._decide, self._max_length, self._tokens = decide, max_length, tokens
        self._capacity, self._scored = capacity, scored
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._speed = 10.0  # texts/s; a moving mean once texts were scored
        self._thread = threading.Thread(target=self._work, name="scorer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Texts in the queue."""
        return len(self._queue)

    @property
    def alive(self) -> bool:
        """Whether texts are taken and scored."""
        return self._thread.is_alive() and not self._closed

    def submit(self, texts: Sequence[str]) -> "Future[list[Answer]]":
        """The answers to come, in order; cancel the future to take back what still waits.

        Raises QueueFullError when they do not all find a place, and ClosedError after `close`.
        """
        ticket = _Ticket(len(texts))
        if not texts:
            ticket.future.set_result([])
            return ticket.future
        with self._changed:
            if not self.alive:
                raise ClosedError("the service is shutting down")
            if len(self._queue) + len(texts) > self._capacity:
                self._forget_cancelled()
            if len(self._queue) + len(texts) > self._capacity:
                raise QueueFullError(max(1, math.ceil(len(self._queue) / self._speed)))
            self._queue.extend(_Waiting(text, place, ticket) for place, text in enumerate(texts))
            self._changed.notify()
        return ticket.future

    def close(self) -> None:
        """Take no more; return when all that was accepted is answered."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _forget_cancelled(self) -> None:
        kept = [item for item in self._queue if not item.ticket.future.done()]
        self._queue.clear()
        self._queue.extend(kept)

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            if not batch:
                continue
            began = time.perf_counter()
            self._answer(batch)
            taken = time.perf_counter() - began
            self._speed += 0.2 * (len(batch) / max(taken, 1e-6) - self._speed)
            if self._scored:
                self._scored(len(batch), taken)

    def _take(self) -> list[_Waiting] | None:
        """The next texts, of about `tokens` tokens; None when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            if not self._queue:
                return None
            batch: list[_Waiting] = []
            room = self._tokens
            while self._queue and room > 0:
                item = self._queue.popleft()
                if item.ticket.future.done():
                    continue
                batch.append(item)
                room -= min(self._max_length, 2 + len(item.text) // _CHARACTERS_A_TOKEN)
            return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        try:
            decided = self._decide([item.text for item in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].ticket.fail(error)
                return
            for item in batch:  # one bad text must not fail the requests of others
                self._answer([item])
            return
        for row, item in enumerate(batch):
            answer = Answer(decided.probabilities[row], decided.labels[row], bool(decided.needs_review[row]))
            item.ticket.give(item.place, answer)
