"""The learning curve: F1 by number of labels, from cross-validation, extrapolated by a power law."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trialtune.annotation.learner import Learner
from trialtune.annotation.power_law import fit_power_laws
from trialtune.annotation.settings import RANDOM
from trialtune.evaluation.randomization import f1_of_counts
from trialtune.results import Result

STEP = 50  # labels: an hour or two of annotation
_FOLDS = 5
_SHARES = (0.3, 0.45, 0.65, 1.0)  # of the rows outside a fold
_FEWEST = 20  # rows to score
_SURE = 60  # rows needed before advice on stopping is reliable
_DRAWS = 300  # of the bootstrap
_CUT = 0.3  # a typical threshold of a model trained on few rows
_WORTH = 0.005  # gain in F1 from STEP more labels: a smaller one hardly justifies the work
_POOR = 5  # rows of a label: with fewer it can hardly be learnt


class Expected(Result):
    """The F1 expected with a number of labels, or its gain, with a 95% interval."""

    labels: int
    f1: float
    low: float
    high: float


class Curve(Result):
    """One average of F1 by number of labels: measured, extrapolated, and the gain from STEP more."""

    measured: tuple[Expected, ...]
    later: tuple[Expected, ...]  # now, STEP more, half as many again, twice as many
    gain: Expected


class Forecast(Result):
    """The expected gain from more labels, for the learner that chooses the texts."""

    learner: str
    labels: int
    scored: int  # rows
    at_random: bool  # whether the scored rows were drawn at random, and so represent the pool
    micro: Curve
    macro: Curve
    advice: str


def forecast(
    learner: Learner,
    features: Any,
    gold: np.ndarray,
    drawn: Sequence[str],
    *,
    labels: Sequence[str],
    kind: str,
    seed: int = 0,
) -> Forecast | None:
    """The learning curve of a learner; None while too few rows can be scored.

    `features` [rows, any], boolean `gold` [rows, labels] and how the rows were `drawn`. Each fold's
    rows are predicted by models of growing nested subsets of the others. Only rows drawn at random are
    scored, where there are enough: the others are harder than the pool. To the points
    is fitted an inverse power law (Cortes et al., 1993; Hestness et al., 2017, arXiv:1712.00409). The
    intervals are percentiles of a bootstrap over the scored rows, with a law fitted to each draw.
    """
    at_random = np.array([way == RANDOM for way in drawn])
    enough = int(at_random.sum()) >= _FEWEST
    scored = at_random if enough else np.ones(len(gold), dtype=bool)
    if scored.sum() < _FEWEST or not gold[scored].any():
        return None
    chance = np.random.default_rng(seed)
    sizes, answers = _answers(learner, features, gold, kind, chance)
    f1 = _averages(answers[:, scored], gold[scored], _weights(int(scored.sum()), chance))
    micro, macro = (_curve(sizes, f1[..., average], len(gold)) for average in (0, 1))
    return Forecast(
        learner=learner.name,
        labels=len(gold),
        scored=int(scored.sum()),
        at_random=enough,
        micro=micro,
        macro=macro,
        advice=_advice(macro.gain, gold, labels, scored=int(scored.sum())),
    )


def _answers(
    learner: Learner, features: Any, gold: np.ndarray, kind: str, chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Training rows [sizes], and out-of-fold predictions [sizes, rows, labels]."""
    order = chance.permutation(len(gold))
    folds = [order[start::_FOLDS] for start in range(_FOLDS)]
    answers = np.zeros((len(_SHARES), *gold.shape), dtype=bool)
    for held in folds:
        others = order[~np.isin(order, held)]
        for place, share in enumerate(_SHARES):
            rows = others[: max(2, round(share * len(others)))]
            stated = learner.fit(features[rows], gold[rows]).probabilities(features[held])
            answers[place, held] = decided(stated, kind, at_least_one=bool(gold.any(axis=1).all()))
    return np.array(_SHARES) * len(gold) * (1 - 1 / _FOLDS), answers


def decided(probabilities: np.ndarray, kind: str, *, at_least_one: bool = True) -> np.ndarray:
    """Labels [rows, labels] of a model of few rows: the likeliest; of a multi-label task all from 0.3."""
    answers: np.ndarray = (probabilities >= _CUT) & (kind == "multi_label")
    if at_least_one or kind == "multi_class":
        answers[np.arange(len(answers)), probabilities.argmax(axis=1)] = True
    return answers


def _weights(rows: int, chance: np.random.Generator) -> np.ndarray:
    """Weights of the rows [draws, rows]: 1 for all in the first draw, then bootstrap counts."""
    drawn = chance.multinomial(rows, np.full(rows, 1 / rows), size=_DRAWS)
    return np.concatenate([np.ones((1, rows)), drawn])


def _averages(answers: np.ndarray, gold: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Micro-F1 and macro-F1 [draws, sizes, 2]; a label that no scored row has is left out of macro-F1."""
    hits = np.stack([weights @ (part & gold) for part in answers], axis=1)
    both = np.stack([weights @ (part.astype(float) + gold) for part in answers], axis=1)
    averages: np.ndarray = f1_of_counts(hits, both, (weights @ gold)[:, None])[..., :2]
    return averages


def _curve(sizes: np.ndarray, f1: np.ndarray, labels: int) -> Curve:
    """The curve of `f1` [draws, sizes], whose first draw is the rows unweighted."""
    law = fit_power_laws(sizes, 1 - f1)
    more = [labels, labels + STEP, round(1.5 * labels), 2 * labels]
    return Curve(
        measured=tuple(_expected(int(size), f1[:, place]) for place, size in enumerate(sizes)),
        later=tuple(_expected(rows, 1 - law(rows)) for rows in more),
        gain=_expected(STEP, law(labels) - law(labels + STEP)),
    )


def _expected(labels: int, values: np.ndarray) -> Expected:
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Expected(labels=labels, f1=float(values[0]), low=float(low), high=float(high))


def _advice(gain: Expected, gold: np.ndarray, labels: Sequence[str], *, scored: int) -> str:
    """Whether to continue annotating, in a sentence or two."""
    poor = [label for label, rows in zip(labels, gold.sum(axis=0), strict=True) if rows < _POOR]
    few = f" Fewer than {_POOR} rows have {', '.join(poor)}." if poor else ""
    interval = f"{gain.low:+.3f} to {gain.high:+.3f}"
    forecast = f"expected gain from {STEP} more labels: {gain.f1:+.3f} macro-F1 (95% interval {interval})"
    if scored < _SURE:
        return f"Continue: {scored} scored texts are too few to say when to stop.{few}"
    if gain.high < _WORTH:
        return f"You can stop: {forecast}.{few}"
    if gain.f1 < _WORTH:
        return f"You can stop soon: {forecast}.{few}"
    return f"Continue: {forecast}.{few}"
