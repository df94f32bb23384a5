"""A classifier as the service holds it: its folder opened, its texts queued."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trialtune.errors import UsageError
from trialtune.evaluation.thresholds import Decided, Decision
from trialtune.files import fingerprint, folder_digest
from trialtune.inference.occlusion import Question, Span, occlude
from trialtune.server.scorer import Answer, Scorer
from trialtune.stages.evaluate import open_classifier
from trialtune.tasks.task import Task, task_of

_AT_ONCE = 64  # shortened texts of an explanation that are queued together, so that others get in between


@dataclass(frozen=True)
class Served:
    """One classifier at work."""

    task: Task
    labels: tuple[str, ...]
    decision: Decision
    max_length: int  # tokens read of a text
    fingerprint: str  # of weights, tokeniser and decision
    scorer: Scorer

    def explain(self, text: str, label: str, *, timeout: float) -> list[Span]:
        """Words of `text` with what they add to the calibrated probability of `label`.

        Raises what `Scorer.submit` raises, and TimeoutError after `timeout` seconds.
        """
        [spans] = occlude(_Queued(self, timeout), [Question(text, label)])
        return spans


class _Queued:
    """The served classifier as occlusion asks it: texts in, probabilities out, through the queue."""

    def __init__(self, served: Served, timeout: float) -> None:
        self.labels = list(served.labels)
        self._scorer, self._until = served.scorer, time.monotonic() + timeout

    def probabilities(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        rows = [np.empty((0, len(self.labels)), dtype=np.float32)]
        for start in range(0, len(texts), _AT_ONCE):
            future: Future[list[Answer]] = self._scorer.submit(texts[start : start + _AT_ONCE])
            try:
                rows += [
                    answer.probabilities[None] for answer in future.result(self._until - time.monotonic())
                ]
            finally:
                future.cancel()
            if progress:
                progress(len(texts[start : start + _AT_ONCE]))
        return np.concatenate(rows)


def open_all(
    folders: Sequence[Path], *, capacity: int, scored: Callable[[str, int, float], None]
) -> dict[str, Served]:
    """The classifiers of these folders by task, each with a running scorer.

    Raises DataError when a folder is no classifier, and UsageError when two are of one task.
    """
    opened: dict[str, tuple[Path, Served]] = {}
    tasks = [(folder, task_of(folder)) for folder in folders]
    for folder, task in tasks:
        others = [other for other, its in tasks if its.name == task.name]
        if len(others) > 1:
            raise UsageError(f"{' and '.join(map(str, others))} are both of the task {task.name}; give one")
        opened[task.name] = folder, _open(folder, task, capacity, scored)
    return {name: served for name, (_, served) in opened.items()}


def _open(folder: Path, task: Task, capacity: int, scored: Callable[[str, int, float], None]) -> Served:
    predictor, decision, _ = open_classifier(folder)

    def decide(texts: Sequence[str]) -> Decided:
        return decision.apply(predictor.probabilities(texts))

    decide(["warm-up"])  # a classifier that cannot score says so before the port is bound
    scorer = Scorer(
        decide,
        max_length=predictor.max_length,
        capacity=capacity,
        scored=lambda count, seconds: scored(task.name, count, seconds),
    )
    return Served(
        task=task,
        labels=tuple(predictor.labels),
        decision=decision,
        max_length=predictor.max_length,
        fingerprint=fingerprint(folder_digest(folder))[:12],
        scorer=scorer,
    )
