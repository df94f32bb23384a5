"""A queue per model: the texts of all requests are scored together in batches."""

import contextlib
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trialtune.classifier.prediction import DIGITS
from trialtune.evaluation.decision import Decided

_CHARACTERS_A_TOKEN = 4  # of English; used only to size batches
_TOKENS_A_BATCH = 8192  # enough to sort by length, while a single text waits little
_LONGEST_REMEMBERED = 1000  # characters; longer texts hardly repeat, and would fill the cache


class QueueFullError(Exception):
    """The queue is full; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many texts are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


class ClosedError(Exception):
    """The service is shutting down and accepts no more texts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The prediction for one text."""

    probabilities: list[float]  # [labels], calibrated, to six decimals
    labels: list[int]  # indices of those predicted
    needs_review: bool

    @classmethod
    def of(cls, decided: Decided) -> "list[Answer]":
        """The predictions of a batch, one per row."""
        return [
            cls(probabilities, np.flatnonzero(given).tolist(), review)
            for probabilities, given, review in zip(
                decided.probabilities.astype(float).round(DIGITS).tolist(),
                decided.labels,
                decided.needs_review.tolist(),
                strict=True,
            )
        ]


class _Ticket:
    """The texts of one request and the predictions so far, which are set under the batcher's lock."""

    def __init__(self, answers: list[Answer | None]) -> None:
        self.future: Future[list[Answer]] = Future()
        self._answers = answers
        self._missing = len(self.missing())
        if not self._missing:
            self.finish()

    def missing(self) -> list[int]:
        """Indices of the texts without a prediction."""
        return [place for place, answer in enumerate(self._answers) if answer is None]

    def give(self, place: int, answer: Answer) -> bool:
        """Set a prediction; returns whether it was the last missing one."""
        self._answers[place] = answer
        self._missing -= 1
        return not self._missing

    def fail(self, error: BaseException) -> None:
        with contextlib.suppress(InvalidStateError):  # cancelled by the caller, or failed already
            self.future.set_exception(error)

    def finish(self) -> None:
        with contextlib.suppress(InvalidStateError):
            self.future.set_result([answer for answer in self._answers if answer is not None])


class _Waiting(NamedTuple):
    text: str
    place: int  # among the texts of its request
    ticket: _Ticket


class Batcher:
    """Scores texts in its own `threads`, those of many requests in one batch.

    `decide` labels a list of texts (in several threads at a time, when there are several), and uses
    at most `most_tokens` of each; `capacity` is the length of the queue. Batches are formed in order of
    arrival, of texts with about `tokens` tokens in total (dynamic batching), so no request waits for a batch
    to fill. The predictions for the last `remembered` short texts are cached (one in five of
    the registry's stop reasons repeats another). Accepted texts are always scored, also after
    `close`.
    """

    def __init__(
        self,
        decide: Callable[[Sequence[str]], Decided],
        *,
        most_tokens: int,
        capacity: int,
        tokens: int = _TOKENS_A_BATCH,
        threads: int = 1,
        remembered: int = 0,
        scored: Callable[[int, float], None] | None = None,
        repeated: Callable[[int], None] | None = None,
    ) -> None:
        self._decide, self._most_tokens, self._tokens = decide, most_tokens, tokens
        self._capacity, self._remembered = capacity, remembered
        self._scored, self._repeated = scored, repeated
        self._queue: deque[_Waiting] = deque()
        self._known: OrderedDict[str, Answer] = OrderedDict()  # the least recently used first
        self._changed = threading.Condition()  # guards the queue and the cache
        self._closed = False
        self._speed = 10.0  # texts/s; a moving mean after the first batch
        self._threads = [
            threading.Thread(target=self._work, name="batcher", daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Texts in the queue."""
        return len(self._queue)

    @property
    def alive(self) -> bool:
        """Whether texts are accepted and scored."""
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    def submit(self, texts: Sequence[str]) -> "Future[list[Answer]]":
        """A future of the predictions, in order; cancel it to remove texts still queued.

        Raises QueueFullError when the queue has no room for all of them, and ClosedError after `close`.
        """
        with self._changed:
            if not self.alive:
                raise ClosedError("the service is shutting down")
            ticket = _Ticket([self._recall(text) for text in texts])
            new = ticket.missing()
            if len(self._queue) + len(new) > self._capacity:
                self._forget_cancelled()
            if new and len(self._queue) + len(new) > self._capacity:
                raise QueueFullError(max(1, math.ceil(len(self._queue) / self._speed)))
            self._queue.extend(_Waiting(texts[place], place, ticket) for place in new)
            self._changed.notify()
        if self._repeated and len(new) < len(texts):
            self._repeated(len(texts) - len(new))
        return ticket.future

    def close(self) -> None:
        """Accept no more texts; return when all accepted ones are scored."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _recall(self, text: str) -> Answer | None:
        answer = self._known.get(text)
        if answer is not None:
            self._known.move_to_end(text)
        return answer

    def _keep(self, batch: Sequence[_Waiting], answers: Sequence[Answer]) -> list[_Ticket]:
        """Store predictions in their requests and in the cache; returns the requests now complete."""
        with self._changed:
            for item, answer in zip(batch, answers, strict=True):
                if len(item.text) <= _LONGEST_REMEMBERED:
                    self._known[item.text] = answer
            while len(self._known) > self._remembered:
                self._known.popitem(last=False)
            return [
                item.ticket
                for item, answer in zip(batch, answers, strict=True)
                if item.ticket.give(item.place, answer)
            ]

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
        """The next texts, of about `tokens` tokens; None after closing."""
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
                room -= min(self._most_tokens, 2 + len(item.text) // _CHARACTERS_A_TOKEN)
            if self._queue:
                self._changed.notify()  # another thread takes the rest
            return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        try:
            answers = Answer.of(self._decide([item.text for item in batch]))
        except Exception as error:
            if len(batch) == 1:
                batch[0].ticket.fail(error)
                return
            for item in batch:  # one bad text must not fail the requests of others
                self._answer([item])
            return
        for ticket in self._keep(batch, answers):
            ticket.finish()
