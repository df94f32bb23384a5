"""A model of the answers so far, retrained in the background during annotation."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trialtune.annotation.candidates import Candidates, FeatureStore
from trialtune.annotation.curve import Forecast, forecast
from trialtune.annotation.draws import Rankings
from trialtune.annotation.learner import Learner, Model, likeness, meanings
from trialtune.annotation.pool import Suggestion
from trialtune.annotation.ranking import rank
from trialtune.annotation.settings import DrawSettings
from trialtune.dataset.answers import Answer, settle
from trialtune.dataset.label_arrays import multi_hot
from trialtune.tasks.task import Task

log = logging.getLogger(__name__)
_FEWEST = 10  # answers needed for a first model
_GROWTH = 1.1  # growth of the answers between two forecasts, which take longer than training


@dataclass(frozen=True)
class Trained:
    """A model of the first `answers` rows of the file, `texts` of which count."""

    model: Model
    rankings: Rankings
    answers: int
    texts: int
    seconds: float


class Trainer:
    """Trains in its own thread, one model at a time; its fields hold the latest result."""

    def __init__(self, task: Task, learner: Learner, candidates: Candidates, settings: DrawSettings) -> None:
        self._task, self._learner, self._settings = task, learner, settings
        self._candidates, self._store = candidates, FeatureStore(learner)
        self._likeness: np.ndarray | None = None  # of the candidates to the labels' definitions
        self._thread: threading.Thread | None = None
        self.latest: Trained | None = None
        self.forecast: Forecast | None = None
        self.name = learner.name
        self.problem = ""  # why there is no newer model

    @property
    def rankings(self) -> Rankings:
        """The latest model's; none before the first model."""
        return self.latest.rankings if self.latest else {}

    def offer(self, answers: Sequence[Answer]) -> None:
        """Train on the answers if enough are new and no training is running."""
        step = self._settings.retrain_every
        due = len(answers) >= (self.latest.answers + step if self.latest else _FEWEST)
        if due and not (self._thread and self._thread.is_alive()):
            self._thread = threading.Thread(target=self._train, args=([*answers],), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait for the running training."""
        if self._thread:
            self._thread.join()

    def suggest(self, text: str) -> Suggestion | None:
        """The latest model's prediction for a text; None before the first model."""
        if not self.latest:
            return None
        [stated] = self.latest.model.probabilities(self._learner.features([text]))
        likely = dict(zip(self._task.labels, map(float, stated), strict=True))
        best = max(likely, key=lambda label: likely[label])
        given = tuple(label for label in likely if likely[label] >= 0.5)
        return Suggestion(given if given and self._task.kind == "multi_label" else (best,), likely)

    def _train(self, answers: Sequence[Answer]) -> None:
        try:
            self._learn(answers)
            self.problem = ""
        except Exception as error:  # in a thread it would go unnoticed
            log.exception("training failed")
            self.problem = f"the model could not be trained: {type(error).__name__}: {error}"

    def _learnt_from(self, answers: Sequence[Answer]) -> list[Answer]:
        """The answers that count, one per wording, so that no wording is in two folds."""
        by_wording = {answer.key[1]: answer for answer in settle(answers).chosen}
        none_may_hold = self._task.kind == "multi_label"
        return [answer for answer in by_wording.values() if answer.labels or none_may_hold]

    def _learn(self, answers: Sequence[Answer]) -> None:
        began = time.monotonic()
        chosen = self._learnt_from(answers)
        gold = multi_hot([answer.labels for answer in chosen], [*self._task.labels])
        if not gold.any():
            return
        features = self._store.of([answer.text for answer in chosen])
        model = self._learner.fit(features, gold)
        places = self._candidates.places
        candidates = self._store.of(self._candidates.texts)
        if self._likeness is None:
            self._likeness = likeness(candidates, self._learner.features(meanings(self._task.labels)))
        answered = self._candidates.among({answer.key[1] for answer in answers})
        seed = (self._settings.seed, len(answers))
        ranked = rank(model.probabilities(candidates), self._likeness, gold.sum(axis=0), answered, seed=seed)
        rankings = {way: [places[row] for row in rows] for way, rows in ranked.items()}
        self.latest = Trained(model, rankings, len(answers), len(chosen), time.monotonic() - began)
        if not self.forecast or len(chosen) >= _GROWTH * self.forecast.labels:
            drawn = [answer.drawn for answer in chosen]
            self.forecast = forecast(
                self._learner, features, gold, drawn, labels=[*self._task.labels], kind=self._task.kind
            )
