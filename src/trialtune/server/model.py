"""A classifier as the service holds it: its folder opened, its texts queued."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from trialtune.classifier.classifier import classifier_fingerprint, open_classifier, task_of
from trialtune.classifier.explain import Question, Span, occlude
from trialtune.classifier.windows import MOST_WINDOWS
from trialtune.errors import UsageError
from trialtune.evaluation.thresholds import Decided, Decision
from trialtune.server.batcher import Answer, Scorer
from trialtune.server.metrics import Meters
from trialtune.tasks.task import Task

_AT_ONCE = 64  # shortened texts of an explanation that are queued together, so that others get in between


@dataclass(frozen=True)
class Served:
    """One classifier at work."""

    task: Task
    labels: tuple[str, ...]
    decision: Decision
    max_length: int  # tokens of a window
    fingerprint: str  # of weights, tokeniser and decision
    scorer: Scorer

    def explain(self, text: str, label: str, *, timeout: float, given_up: threading.Event) -> list[Span]:
        """Words of `text` with what they add to the calibrated probability of `label`.

        Raises what `Scorer.submit` raises, and TimeoutError after `timeout` seconds, or soon after
        `given_up` is set.
        """
        [spans] = occlude(_Queued(self, timeout, given_up), [Question(text, label)])
        return spans


class _Queued:
    """The served classifier as occlusion asks it: texts in, probabilities out, through the queue."""

    def __init__(self, served: Served, timeout: float, given_up: threading.Event) -> None:
        self.labels = list(served.labels)
        self._scorer, self._given_up = served.scorer, given_up
        self._until = time.monotonic() + timeout

    def probabilities(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        rows: list[list[float]] = []
        for start in range(0, len(texts), _AT_ONCE):
            if self._given_up.is_set():
                raise TimeoutError
            future: Future[list[Answer]] = self._scorer.submit(texts[start : start + _AT_ONCE])
            try:
                rows += [answer.probabilities for answer in future.result(self._until - time.monotonic())]
            finally:
                future.cancel()
            if progress:
                progress(len(texts[start : start + _AT_ONCE]))
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.labels))


def open_all(folders: Sequence[Path], *, capacity: int, remembered: int, meters: Meters) -> dict[str, Served]:
    """The classifiers of these folders by task, each with a running scorer.

    Raises DataError when a folder is no classifier, and UsageError when two are of one task.
    """
    tasks = [(folder, task_of(folder)) for folder in folders]
    for name in dict.fromkeys(task.name for _, task in tasks):
        same = [str(folder) for folder, task in tasks if task.name == name]
        if len(same) > 1:
            raise UsageError(f"{' and '.join(same)} are both of the task {name}; give one")
    return {task.name: _open(folder, task, capacity, remembered, meters) for folder, task in tasks}


def _open(folder: Path, task: Task, capacity: int, remembered: int, meters: Meters) -> Served:
    predictor, decision, _ = open_classifier(folder)

    def decide(texts: Sequence[str]) -> Decided:
        return decision.apply(predictor.probabilities(texts))

    decide(["warm-up"])  # a classifier that cannot score says so before the port is bound
    scorer = Scorer(
        decide,
        most_tokens=MOST_WINDOWS * predictor.max_length,
        capacity=capacity,
        remembered=remembered,
        threads=min(2, predictor.backend.workers),  # the cores of one's last batches go to the other
        scored=partial(meters.scored, task.name),
        repeated=partial(meters.repeated, task.name),
    )
    meters.watch(task.name, lambda: scorer.waiting)
    return Served(
        task=task,
        labels=tuple(predictor.labels),
        decision=decision,
        max_length=predictor.max_length,
        fingerprint=classifier_fingerprint(folder),
        scorer=scorer,
    )
