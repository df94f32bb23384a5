"""Base and adapted on the same test rows: means over seeds, intervals, p-values."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from trialtune.errors import DataError
from trialtune.evaluation.metrics import Metrics, check_shapes, reliability, score
from trialtune.evaluation.randomization import f1_of_counts, holm, swap_test
from trialtune.results import Result

LEVEL = 0.05  # a difference needs a corrected p below it

_PERCENTILES = (2.5, 97.5)
_CHUNK = 20_000_000  # resampling weights held at a time: 80 MB as float32


class Interval(NamedTuple):
    """A 95% interval."""

    low: float
    high: float


class AverageIntervals(Result):
    """The intervals of the two averages by which systems are compared."""

    micro_f1: Interval
    macro_f1: Interval


class Intervals(AverageIntervals):
    """The intervals of the averages and of each class's F1, None for a class without gold examples."""

    per_class: dict[str, Interval | None]


class Spread(Result):
    """Standard deviations over seeds, 0 for a single one."""

    micro_f1: float
    macro_f1: float


class SeedMetrics(Metrics):
    """One system's metrics, means over its seeds."""

    spread: Spread


class SystemMetrics(SeedMetrics):
    """One system of a comparison."""

    intervals: Intervals


class Systems(Result):
    """The two systems compared."""

    base: SystemMetrics
    adapted: SystemMetrics


class Difference(Result):
    """Adapted minus base of one metric: the mean over seeds, its 95% interval from `low` to `high`.

    `p` is that of `swap_test`, `p_holm` its correction over the two averages, or over the classes.
    """

    mean: float
    low: float
    high: float
    p: float | None = None
    p_holm: float | None = None

    @property
    def excludes_zero(self) -> bool:
        return not self.low <= 0 <= self.high

    @property
    def is_clear(self) -> bool:
        """Whether both tests find a difference: the interval and the corrected p."""
        return self.excludes_zero and (self.p_holm is None or self.p_holm < LEVEL)


class Differences(Result):
    """The differences of the averages and of each class's F1, None for a class without gold examples."""

    micro_f1: Difference
    macro_f1: Difference
    per_class: dict[str, Difference | None]


class Compared(Result):
    """Two systems on the same rows."""

    systems: Systems
    difference: Differences


def compare(
    gold: np.ndarray,
    base: Sequence[np.ndarray],
    adapted: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    kind: str = "multi_label",
    probabilities: tuple[Sequence[np.ndarray], Sequence[np.ndarray]] | None = None,
    resamples: int = 1000,
    shuffles: int = 10_000,
    seed: int = 0,
) -> Compared:
    """Compare two systems, each given as boolean predictions [rows, labels] per seed.

    Paired bootstrap over test rows and seeds (Efron and Tibshirani, 1993): the same resampled rows
    and the same resampled seeds for both systems; the statistic is a metric's mean over seeds;
    intervals are the 2.5th and 97.5th percentiles, so they cover the choice of rows and that of
    seeds. `probabilities` (base's and adapted's, each a
    list over seeds) give the `ece`.
    Raises DataError when shapes disagree or the systems have different numbers of seeds.
    """
    if not base or len(base) != len(adapted):
        raise DataError("both systems need predictions of the same seeds, at least one")
    systems, drawn = [], []
    stated = probabilities or (None, None)
    for runs, probs in zip((base, adapted), stated, strict=True):
        scores = score_seeds(gold, runs, labels, kind=kind, probabilities=probs)
        drawn.append(_bootstrap(gold, runs, resamples=resamples, seed=seed))
        systems.append(SystemMetrics(**dict(scores), intervals=_intervals(drawn[-1], labels)))
    observed = _statistics(systems[1], labels) - _statistics(systems[0], labels)
    p = swap_test(gold, base, adapted, shuffles=shuffles, seed=seed)
    corrected = np.concatenate([holm(p[:2]), holm(p[2:])])
    bounds = _bounds(drawn[1] - drawn[0])
    differences = [
        limits
        and Difference(
            mean=float(mean), low=limits.low, high=limits.high, p=float(chance), p_holm=float(chance_holm)
        )
        for mean, limits, chance, chance_holm in zip(observed, bounds, p, corrected, strict=True)
    ]
    return Compared(
        systems=Systems(base=systems[0], adapted=systems[1]),
        difference=Differences(**_named(differences, labels)),
    )


def score_seeds(
    gold: np.ndarray,
    runs: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    kind: str,
    probabilities: Sequence[np.ndarray] | None = None,
) -> SeedMetrics:
    """One system's metrics, means over seeds, with the standard deviation over them as `spread`."""
    check_shapes(labels, gold=gold, **{f"run {i}": run for i, run in enumerate(runs)})
    stated = probabilities if probabilities is not None else [None] * len(runs)
    scored = [
        score(gold, predicted, labels, kind=kind, probabilities=probs)
        for predicted, probs in zip(runs, stated, strict=True)
    ]
    mean = _mean([run.model_dump() for run in scored])
    if probabilities is not None:  # over all seeds' rows: separate bins could not be averaged
        stacked = np.tile(gold, (len(runs), 1))
        mean["reliability"] = reliability(np.concatenate(probabilities), stacked, kind=kind)
    return SeedMetrics(**mean, spread=_spread(scored))


def score_intervals(
    gold: np.ndarray,
    runs: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Intervals:
    """The 95% bootstrap interval of a system's micro-F1, macro-F1 and F1 of each class."""
    return _intervals(_bootstrap(gold, runs, resamples=resamples, seed=seed), labels)


def _bootstrap(gold: np.ndarray, system: Sequence[np.ndarray], *, resamples: int, seed: int) -> np.ndarray:
    """A system's bootstrap statistics [resamples, 2 + labels]: micro-F1, macro-F1, F1 of each class.

    Drawing rows (or seeds) with replacement is drawing how often each counts, so the resamples of all
    counts are a few matrix products. The draws depend on `seed`: systems with equally many runs share them.
    """
    chunks: list[np.ndarray] = []
    seed_rng = np.random.default_rng([seed, 1])
    for weights in _weights(len(gold), resamples, seed):
        # One seed fewer than there are: the variance of so few would otherwise be too small by
        # (n - 1) / n (Rao and Wu, 1988).
        seeds, draws = len(system), max(1, len(system) - 1)
        shares = seed_rng.multinomial(draws, np.full(seeds, 1 / seeds), size=len(weights)) / draws
        support = weights @ gold.astype(np.float32)
        f1s = [_f1(weights, gold, predicted, support) for predicted in system]
        chunks.append(np.einsum("sri,rs->ri", np.stack(f1s), shares))
    return np.concatenate(chunks)


def _weights(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each row is drawn in each resample, [some resamples, rows] at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // rows)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield rng.multinomial(rows, np.full(rows, 1 / rows), size=size).astype(np.float32)


def _f1(weights: np.ndarray, gold: np.ndarray, predicted: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Micro, macro and class F1 [resamples, 2 + labels] of one seed; NaN for a class not drawn."""
    hits = weights @ (gold & predicted).astype(np.float32)
    return f1_of_counts(hits, support + weights @ predicted.astype(np.float32), support)


def _bounds(values: np.ndarray) -> list[Interval | None]:
    """The 95% interval of each column, None for a column without numbers."""
    return [
        None if np.isnan(column).all() else Interval(*map(float, np.nanpercentile(column, _PERCENTILES)))
        for column in values.T
    ]


def _intervals(drawn: np.ndarray, labels: Sequence[str]) -> Intervals:
    return Intervals(**_named(_bounds(drawn), labels))


def _statistics(metrics: Metrics, labels: Sequence[str]) -> np.ndarray:
    """The same numbers as a bootstrap row: micro-F1, macro-F1, F1 of each class (NaN for none)."""
    per_class = [metrics.per_class[label].f1 for label in labels]
    return np.array([metrics.micro_f1, metrics.macro_f1, *per_class], dtype=float)


def _named(values: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
    return {
        "micro_f1": values[0],
        "macro_f1": values[1],
        "per_class": dict(zip(labels, values[2:], strict=True)),
    }


def _spread(runs: Sequence[Metrics]) -> Spread:
    freedom = 1 if len(runs) > 1 else 0
    micro, macro = np.std([(run.micro_f1, run.macro_f1) for run in runs], axis=0, ddof=freedom)
    return Spread(micro_f1=float(micro), macro_f1=float(macro))


def _mean(values: Sequence[Any]) -> Any:
    """Mean over seeds of metrics of the same form; counts and nulls, equal for all seeds, are kept."""
    first = values[0]
    if isinstance(first, dict):
        return {key: _mean([value[key] for value in values]) for key in first}
    return float(np.mean(values)) if isinstance(first, float) else first
