"""Base against adapted on the same test rows: means over seeds, bootstrap intervals, a plain verdict."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trialtune.errors import DataError
from trialtune.evaluation.metrics import check_shapes, score

_PERCENTILES = (2.5, 97.5)
_CHUNK = 20_000_000  # resampling weights held at a time: 80 MB as float32
_AVERAGES = {"micro_f1": "micro-F1", "macro_f1": "macro-F1"}


def compare(
    gold: np.ndarray,
    base: Sequence[np.ndarray],
    adapted: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    kind: str = "multi_label",
    probabilities: tuple[Sequence[np.ndarray], Sequence[np.ndarray]] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """`systems` and `difference` of two systems, each given as boolean predictions [rows, labels] a seed.

    Paired bootstrap over test rows and seeds (Efron and Tibshirani, 1993): the same resampled rows
    and the same resampled seeds for both systems; the statistic is a metric's mean over seeds;
    intervals are the 2.5th and 97.5th percentiles, so they cover the choice of rows and that of
    seeds. `spread` is the standard deviation over seeds. Classes without gold examples have null.
    `probabilities` (base's and adapted's, each a list over seeds) give the `ece`.
    Raises DataError when shapes disagree or the systems have not the same number of seeds.
    """
    if not base or len(base) != len(adapted):
        raise DataError("both systems need predictions of the same seeds, one at the least")
    check_shapes(labels, gold=gold, **{f"run {i}": run for i, run in enumerate([*base, *adapted])})
    stated = probabilities or (None, None)
    runs = [
        [
            score(gold, predicted, labels, kind=kind, probabilities=None if probs is None else probs[number])
            for number, predicted in enumerate(predictions)
        ]
        for predictions, probs in zip((base, adapted), stated, strict=True)
    ]
    means = [_mean(system_runs) for system_runs in runs]
    drawn = _bootstrap(gold, (base, adapted), resamples=resamples, seed=seed)
    systems = {
        name: {**mean, "spread": _spread(system_runs), "intervals": _named(_bounds(values), labels)}
        for name, mean, system_runs, values in zip(("base", "adapted"), means, runs, drawn, strict=True)
    }
    observed = _statistics(means[1], labels) - _statistics(means[0], labels)
    differences = [
        bounds and {"mean": float(mean), "low": bounds[0], "high": bounds[1]}
        for mean, bounds in zip(observed, _bounds(drawn[1] - drawn[0]), strict=True)
    ]
    return {"systems": systems, "difference": _named(differences, labels)}


def verdict(difference: dict[str, Any], metric: str = "macro_f1") -> str:
    """One plain sentence on the `difference` of `compare`, led by `metric` (macro_f1 or micro_f1)."""
    measurable = [
        name
        for name in sorted(_AVERAGES, key=lambda name: name != metric)
        if not difference[name]["low"] <= 0 <= difference[name]["high"]
    ]
    said = {
        name: f"{words} {values['mean']:+.3f} (95% interval {values['low']:+.3f} to {values['high']:+.3f})"
        for name, words in _AVERAGES.items()
        for values in [difference[name]]
    }
    if not measurable:
        return f"No measurable difference between the encoders: {'; '.join(said.values())}."
    lead = measurable[0]
    better = {name: "adapted" if difference[name]["mean"] > 0 else "base" for name in measurable}
    sentence = f"The {better[lead]} encoder is better: adapted minus base, {said.pop(lead)}"
    other, values = said.popitem()
    if other not in measurable:
        return f"{sentence}; no measurable difference in {values}."
    if better[other] == better[lead]:
        return f"{sentence} and {values}."
    return f"{sentence}; but the {better[other]} encoder is better in {values}."


def _bootstrap(
    gold: np.ndarray, systems: Sequence[Sequence[np.ndarray]], *, resamples: int, seed: int
) -> list[np.ndarray]:
    """Each system's statistics [resamples, 2 + labels]: micro-F1, macro-F1, F1 of each class.

    Drawing rows (or seeds) with replacement is drawing how often each counts, so all resamples of all
    counts are a few matrix products.
    """
    chunks: list[list[np.ndarray]] = [[] for _ in systems]
    seed_rng = np.random.default_rng([seed, 1])
    for weights in _weights(len(gold), resamples, seed):
        # One seed fewer than there are: the variance of so few would else come out too small by
        # (n - 1) / n (Rao and Wu, 1988).
        seeds, draws = len(systems[0]), max(1, len(systems[0]) - 1)
        shares = seed_rng.multinomial(draws, np.full(seeds, 1 / seeds), size=len(weights)) / draws
        support = weights @ gold.astype(np.float32)
        for chunk, system in zip(chunks, systems, strict=True):
            f1s = [_f1(weights, gold, predicted, support) for predicted in system]
            chunk.append(np.einsum("sri,rs->ri", np.stack(f1s), shares))
    return [np.concatenate(chunk) for chunk in chunks]


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
    sizes = support + weights @ predicted.astype(np.float32)
    per_class = np.divide(2 * hits, sizes, out=np.full_like(hits, np.nan), where=support > 0)
    with np.errstate(invalid="ignore"):  # a resample of label-free rows alone has no F1
        micro = 2 * hits.sum(axis=1) / sizes.sum(axis=1)
        macro = np.nansum(per_class, axis=1) / (support > 0).sum(axis=1)
    return np.column_stack([micro, macro, per_class])


def _bounds(values: np.ndarray) -> list[list[float] | None]:
    """The 95% interval of each column, None for a column without numbers."""
    return [
        None if np.isnan(column).all() else [float(bound) for bound in np.nanpercentile(column, _PERCENTILES)]
        for column in values.T
    ]


def _statistics(metrics: dict[str, Any], labels: Sequence[str]) -> np.ndarray:
    """The same numbers as a bootstrap row: micro-F1, macro-F1, F1 of each class (NaN for none)."""
    per_class = [metrics["per_class"][label]["f1"] for label in labels]
    return np.array([metrics["micro_f1"], metrics["macro_f1"], *per_class], dtype=float)


def _named(values: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
    return {
        "micro_f1": values[0],
        "macro_f1": values[1],
        "per_class": dict(zip(labels, values[2:], strict=True)),
    }


def _spread(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Standard deviation over seeds, 0 for a single one."""
    freedom = 1 if len(runs) > 1 else 0
    return {name: float(np.std([run[name] for run in runs], ddof=freedom)) for name in _AVERAGES}


def _mean(values: Sequence[Any]) -> Any:
    """Mean over seeds of metrics of the same form; counts and nulls, which all seeds share, stay."""
    first = values[0]
    if isinstance(first, dict):
        return {key: _mean([value[key] for value in values]) for key in first}
    return float(np.mean(values)) if isinstance(first, float) else first
