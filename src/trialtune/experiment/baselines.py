"""The baselines of a comparison: fitted on the classifiers' rows, with the classifiers' decision rule."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.preprocessing import StandardScaler

from trialtune.classifier.prediction import scored_frame
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.overlap import check_no_overlap
from trialtune.dataset.seen import check_unseen
from trialtune.evaluation.baselines import apply_rules, fit_linear, majority, tf_idf
from trialtune.evaluation.metrics import Metrics, score
from trialtune.evaluation.prior_shift import log_prior_shift, shift_priors
from trialtune.evaluation.thresholds import tune_decision
from trialtune.experiment.frozen_features import mean_pooled
from trialtune.files import atomic_file
from trialtune.models.encoders import Encoder
from trialtune.stages.aside import keep_aside
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.task import Task

TITLES = {
    "majority": "Majority",
    "keywords": "Keyword rules",
    "tf-idf": "TF-IDF + logistic regression",
    "frozen-base": "Frozen base encoder + linear",
    "frozen-adapted": "Frozen adapted encoder + linear",
}
_TFIDF_STRENGTHS, _FROZEN_STRENGTHS = (3.0, 10.0, 30.0, 100.0), (0.001, 0.01, 0.1, 1.0)

# Fits features on the first (training) texts, then applies them to the others.
_Featurize = Callable[[Sequence[Sequence[str]]], list[Any]]


class BaselineMetrics(Metrics):
    """The scores of a baseline; linear models have `features`, and the strength `C` that was chosen."""

    task: str
    title: str
    features: int | None = None
    C: float | None = None


@dataclass(frozen=True)
class Baselines:
    """The baselines of one task, each scored into `out/NAME`."""

    task: Task
    train: Path
    test: Path
    encoder: str
    adapter: Path
    out: Path
    settings: FinetuneSettings

    @property
    def names(self) -> list[str]:
        """Those available for this task: not every task has keyword rules."""
        return [name for name in TITLES if name != "keywords" or self.task.keywords]

    def score(self, name: str) -> BaselineMetrics:
        """Fit a baseline, write `predictions.parquet` and `metrics.json`; returns the metrics."""
        rows, test = pl.read_parquet(self.train), pl.read_parquet(self.test)
        check_no_overlap(rows, test)
        if name.startswith("frozen"):
            encoder = Encoder.open(self.encoder)
            check_unseen(test, encoder.folder, name=encoder.name)
        labels = list(self.task.labels)
        train, calibration = keep_aside(self.task, rows, self.settings)
        frames = [train, calibration, test]
        golds = [multi_hot(frame["labels"], labels) for frame in frames]
        probabilities, features, strength = None, None, None
        if name in ("majority", "keywords"):
            predicted = majority(golds[0], len(test), _weights(train))
            if name == "keywords":
                assert self.task.keywords is not None  # `names` has it only then
                texts = test["text"].to_list()
                predicted = apply_rules(
                    self.task.keywords, texts, labels, kind=self.task.kind, otherwise=predicted[0]
                )
        else:
            probabilities, predicted, features, strength = self._linear(name, frames, golds)
        metrics = score(golds[2], predicted, labels, kind=self.task.kind, probabilities=probabilities)
        with atomic_file(self.out / name / "predictions.parquet") as path:
            scored_frame(test, labels, predicted, probabilities, system=name).write_parquet(path)
        scored = BaselineMetrics(
            **dict(metrics), task=self.task.name, title=TITLES[name], features=features, C=strength
        )
        scored.save(self.out / name / "metrics.json")
        return scored

    def _linear(
        self, name: str, frames: Sequence[pl.DataFrame], golds: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, int, float]:
        """Probabilities and decisions on the test rows; the model's features and its strength."""
        texts = [frame["text"].to_list() for frame in frames]
        featurize = _tf_idf if name == "tf-idf" else self._frozen(name)
        train, calibration, test = featurize(texts)
        model, strength = fit_linear(
            (train, golds[0]),
            (calibration, golds[1]),
            kind=self.task.kind,
            strengths=_TFIDF_STRENGTHS if name == "tf-idf" else _FROZEN_STRENGTHS,
        )
        stated = [model.probabilities(features) for features in (calibration, test)]
        labels, weights = list(self.task.labels), None
        if self.task.kind == "multi_class" and "weight" in frames[0].columns:
            shift = log_prior_shift(golds[0], _weights(frames[0]))
            stated = [shift_priors(table, shift) for table in stated]
            weights = _weights(frames[1])
        decision = tune_decision(stated[0], golds[1], kind=self.task.kind, labels=labels, weights=weights)
        decided = decision.apply(stated[1])
        return decided.probabilities, decided.labels, train.shape[1], strength

    def _frozen(self, name: str) -> _Featurize:
        adapter = self.adapter if name == "frozen-adapted" else None
        max_length = self.settings.max_length or self.task.max_length

        def featurize(texts: Sequence[Sequence[str]]) -> list[Any]:
            vectors = mean_pooled(
                [text for part in texts for text in part],
                Encoder.open(self.encoder),
                adapter,
                max_length=max_length,
            )
            parts = np.split(vectors, np.cumsum([len(part) for part in texts])[:-1])
            scaler = StandardScaler().fit(parts[0])
            return [scaler.transform(part) for part in parts]

        return featurize


def _tf_idf(texts: Sequence[Sequence[str]]) -> list[Any]:
    features = tf_idf()
    train, *others = texts
    return [features.fit_transform(train), *(features.transform(part) for part in others)]


def _weights(rows: pl.DataFrame) -> np.ndarray:
    """How many rows each training row represents."""
    return rows["weight"].to_numpy() if "weight" in rows.columns else np.ones(len(rows))
