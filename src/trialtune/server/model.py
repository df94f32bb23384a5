"""A classifier in the service: the opened classifier and its queue."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.explain import Question, Span, occlude
from trialtune.classifier.named import open_folder
from trialtune.classifier.windows import MOST_WINDOWS
from trialtune.errors import UsageError
from trialtune.server.batcher import Answer, Batcher
from trialtune.server.metrics import ServiceMetrics
from trialtune.tasks.task import Task

_AT_ONCE = 64  # shortened texts of an explanation queued at a time, so that other requests are not blocked


@dataclass(frozen=True)
class Served:
    """One served classifier."""

    classifier: Classifier
    fingerprint: str
    batcher: Batcher

    @property
    def task(self) -> Task:
        """Its task."""
        return self.classifier.task

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""
        return self.classifier.labels

    def explain(self, text: str, label: str, *, timeout: float, given_up: threading.Event) -> list[Span]:
        """Words of `text` with their contributions to the calibrated probability of `label`.

        Raises as `Batcher.submit` does, and TimeoutError after `timeout` seconds, or soon after
        `given_up` is set.
        """
        until = time.monotonic() + timeout

        def ask(texts: Sequence[str]) -> np.ndarray:
            rows: list[list[float]] = []
            for start in range(0, len(texts), _AT_ONCE):
                if given_up.is_set():
                    raise TimeoutError
                future: Future[list[Answer]] = self.batcher.submit(texts[start : start + _AT_ONCE])
                try:
                    rows += [answer.probabilities for answer in future.result(until - time.monotonic())]
                finally:
                    future.cancel()
            return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.labels))

        [spans] = occlude(ask, self.labels, [Question(text, label)])
        return spans


def open_all(
    names: Sequence[Path | str], *, capacity: int, remembered: int, metrics: ServiceMetrics
) -> dict[str, Served]:
    """The classifiers of these folders or Hub ids by task, each with a running batcher.

    Raises DataError when one is not a classifier, and UsageError when two have the same task.
    """
    opened = [open_folder(name) for name in names]
    for name in dict.fromkeys(folder.task.name for folder in opened):
        same = [str(folder.path) for folder in opened if folder.task.name == name]
        if len(same) > 1:
            raise UsageError(f"{' and '.join(same)} have the same task {name}; give one")
    return {
        folder.task.name: _serve(Classifier.of(folder), capacity, remembered, metrics) for folder in opened
    }


def _serve(classifier: Classifier, capacity: int, remembered: int, metrics: ServiceMetrics) -> Served:
    task = classifier.task
    classifier.decide(["warm-up"])  # a classifier that cannot score fails before the port is bound
    batcher = Batcher(
        classifier.decide,
        most_tokens=MOST_WINDOWS * task.max_length,
        capacity=capacity,
        remembered=remembered,
        threads=min(2, classifier.batches_at_once),  # one fills the cores that the other leaves
        scored=partial(metrics.scored, task.name),
        repeated=partial(metrics.repeated, task.name),
    )
    metrics.watch(task.name, lambda: batcher.waiting)
    return Served(classifier, classifier.fingerprint, batcher)
