"""Base against adapted on the same test rows: means over seeds, intervals, p-values, a plain verdict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trialtune.errors import DataError
from trialtune.evaluation.metrics import check_shapes, reliability, score
from trialtune.evaluation.randomisation import f1_of_counts, holm, swap_test

LEVEL = 0.05  # a difference needs a corrected p below it

_PERCENTILES = (2.5, 97.5)
_CHUNK = 20_000_000  # resampling weights held at a time: 80 MB as float32
_DIFFERENCE = ("mean", "low", "high", "p", "p_holm")
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
    shuffles: int = 10_000,
    seed: int = 0,
) -> dict[str, Any]:
    """`systems` and `difference` of two systems, each given as boolean predictions [rows, labels] a seed.

    Paired bootstrap over test rows and seeds (Efron and Tibshirani, 1993): the same resampled rows
    and the same resampled seeds for both systems; the statistic is a metric's mean over seeds;
    intervals are the 2.5th and 97.5th percentiles, so they cover the choice of rows and that of
    seeds. `p` is that of `swap_test`, `p_holm` its correction over the two averages, or over the
    classes. Classes without gold examples have null. `probabilities` (base's and adapted's, each a
    list over seeds) give the `ece`.
    Raises DataError when shapes disagree or the systems have not the same number of seeds.
    """
    if not base or len(base) != len(adapted):
        raise DataError("both systems need predictions of the same seeds, one at the least")
    systems, drawn = {}, []
    stated = probabilities or (None, None)
    for name, runs, probs in zip(("base", "adapted"), (base, adapted), stated, strict=True):
        systems[name] = score_seeds(gold, runs, labels, kind=kind, probabilities=probs)
        drawn.append(_bootstrap(gold, runs, resamples=resamples, seed=seed))
        systems[name]["intervals"] = _named(_bounds(drawn[-1]), labels)
    observed = _statistics(systems["adapted"], labels) - _statistics(systems["base"], labels)
    p = swap_test(gold, base, adapted, shuffles=shuffles, seed=seed)
    corrected = np.concatenate([holm(p[:2]), holm(p[2:])])
    bounds = _bounds(drawn[1] - drawn[0])
    differences = [
        limits and dict(zip(_DIFFERENCE, map(float, (mean, *limits, *chances)), strict=True))
        for mean, limits, *chances in zip(observed, bounds, p, corrected, strict=True)
    ]
    return {"systems": systems, "difference": _named(differences, labels)}


def score_seeds(
    gold: np.ndarray,
    runs: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    kind: str,
    probabilities: Sequence[np.ndarray] | None = None,
) -> dict[str, Any]:
    """One system's metrics, means over seeds, with the standard deviation over them as `spread`."""
    check_shapes(labels, gold=gold, **{f"run {i}": run for i, run in enumerate(runs)})
    stated = probabilities if probabilities is not None else [None] * len(runs)
    scored = [
        score(gold, predicted, labels, kind=kind, probabilities=probs)
        for predicted, probs in zip(runs, stated, strict=True)
    ]
    mean = {**_mean(scored), "spread": _spread(scored)}
    if probabilities is not None:  # of all seeds' rows: bins of their own could not be averaged
        stacked = np.tile(gold, (len(runs), 1))
        mean["reliability"] = reliability(np.concatenate(probabilities), stacked, kind=kind)
    return mean


def score_intervals(
    gold: np.ndarray,
    runs: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """The 95% bootstrap interval of a system's micro-F1, macro-F1 and F1 of each class."""
    return _named(_bounds(_bootstrap(gold, runs, resamples=resamples, seed=seed)), labels)


def verdict(difference: dict[str, Any], metric: str = "macro_f1") -> str:
    """One plain sentence on the `difference` of `compare`, led by `metric` (macro_f1 or micro_f1).

    A difference is measurable when its interval excludes 0 and, where there is one, its Holm-corrected
    p is below 0.05; a second sentence tells where the two disagree.
    """
    measurable = [
        name for name in sorted(_AVERAGES, key=lambda name: name != metric) if is_clear(difference[name])
    ]
    said = {name: f"{words} {_told(difference[name])}" for name, words in _AVERAGES.items()}
    dissent = " ".join(
        f"In {words} the two tests disagree: {_disagreement(difference[name])}."
        for name, words in _AVERAGES.items()
        if _disagreement(difference[name])
    )
    return f"{_sentence(difference, measurable, said)} {dissent}".strip()


def is_clear(entry: Mapping[str, Any]) -> bool:
    """Whether one entry of a `difference` is one by both tests: the interval and the corrected p."""
    return _excludes_zero(entry) and (entry.get("p_holm") is None or entry["p_holm"] < LEVEL)


def _sentence(difference: dict[str, Any], measurable: Sequence[str], said: dict[str, str]) -> str:
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


def _told(entry: Mapping[str, Any]) -> str:
    chance = f", p {p_text(entry['p_holm'])}" if entry.get("p_holm") is not None else ""
    return f"{entry['mean']:+.3f} (95% interval {entry['low']:+.3f} to {entry['high']:+.3f}{chance})"


def p_text(p: float) -> str:
    """A p-value in words: three decimals, or that it is below the least that these can tell."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _disagreement(entry: Mapping[str, Any]) -> str:
    if entry.get("p_holm") is None or _excludes_zero(entry) == (entry["p_holm"] < LEVEL):
        return ""
    if _excludes_zero(entry):
        return "the interval excludes 0, the randomisation test finds no difference"
    return "the randomisation test finds a difference, the interval, which covers the seeds too, includes 0"


def _excludes_zero(entry: Mapping[str, Any]) -> bool:
    return not entry["low"] <= 0 <= entry["high"]


def _bootstrap(gold: np.ndarray, system: Sequence[np.ndarray], *, resamples: int, seed: int) -> np.ndarray:
    """A system's statistics [resamples, 2 + labels]: micro-F1, macro-F1, F1 of each class.

    Drawing rows (or seeds) with replacement is drawing how often each counts, so all resamples of all
    counts are a few matrix products. The draws follow from `seed`: systems of as many runs share them.
    """
    chunks: list[np.ndarray] = []
    seed_rng = np.random.default_rng([seed, 1])
    for weights in _weights(len(gold), resamples, seed):
        # One seed fewer than there are: the variance of so few would else come out too small by
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
