"""Intervals: right on simulated systems and equal to the slow way."""

import json

import numpy as np
import pytest

from trialtune.errors import DataError
from trialtune.evaluation.intervals import (
    Compared,
    Difference,
    Spread,
    SystemMetrics,
    compare,
    score_intervals,
    score_seeds,
)
from trialtune.evaluation.metrics import score
from trialtune.evaluation.verdict import verdict

LABELS = ["a", "b", "c", "d"]


def truth(rows, labels=4, seed=0):
    rng = np.random.default_rng(seed)
    gold = rng.random((rows, labels)) < np.linspace(0.5, 0.1, labels)
    gold[~gold.any(axis=1), 0] = True
    return gold


def system(gold, errors, seed):
    return gold ^ (np.random.default_rng(seed).random(gold.shape) < errors)


def test_identical_systems_do_not_differ():
    gold = truth(200)
    runs = [system(gold, 0.1, seed) for seed in (1, 2)]
    result = compare(gold, runs, runs, LABELS, resamples=200)
    for entry in (result.difference.micro_f1, *result.difference.per_class.values()):
        assert entry == Difference(mean=0, low=0, high=0, p=1, p_holm=1)
    assert verdict(result.difference).startswith("No measurable difference")


def test_equally_good_systems_have_no_measurable_difference():
    gold = truth(300)
    base = [system(gold, 0.1, seed) for seed in (1, 2, 3)]
    adapted = [system(gold, 0.1, seed) for seed in (4, 5, 6)]
    difference = compare(gold, base, adapted, LABELS, resamples=300).difference
    assert difference.macro_f1.low < 0 < difference.macro_f1.high
    assert verdict(difference).startswith("No measurable difference")


def test_a_clearly_better_system_has_a_positive_interval_and_says_so():
    gold = truth(300)
    base = [system(gold, 0.25, seed) for seed in (1, 2)]
    adapted = [system(gold, 0.05, seed) for seed in (3, 4)]
    result = compare(gold, base, adapted, LABELS, resamples=300)
    assert result.difference.macro_f1.low > 0
    assert result.difference.micro_f1.low > 0
    assert verdict(result.difference).startswith(
        "The adapted encoder is better: adapted minus base, macro-F1 +"
    )
    reverse = compare(gold, adapted, base, LABELS, resamples=300).difference
    assert verdict(reverse).startswith("The base encoder is better")
    low, high = result.systems.base.intervals.macro_f1
    assert low < result.systems.base.macro_f1 < high
    assert result.systems.base.spread.macro_f1 > 0
    told = json.dumps(result.model_dump(mode="json"), allow_nan=False)
    assert Compared.model_validate(json.loads(told)) == result


def test_equals_the_straightforward_way():
    gold = truth(40, seed=5)
    base = [system(gold, 0.2, seed) for seed in (1, 2)]
    adapted = [system(gold, 0.15, seed) for seed in (3, 4)]
    resamples, rows = 50, len(gold)
    result = compare(gold, base, adapted, LABELS, resamples=resamples, seed=9)
    counts = np.random.default_rng(9).multinomial(rows, np.full(rows, 1 / rows), size=resamples)
    seed_counts = np.random.default_rng([9, 1]).multinomial(1, [0.5, 0.5], size=resamples)
    slow = {"micro_f1": [], "macro_f1": [], "a": []}
    for count, seed_count in zip(counts, seed_counts, strict=True):
        drawn = np.repeat(np.arange(rows), count)
        means = []
        for runs in (base, adapted):
            scores = [score(gold[drawn], run[drawn], LABELS, kind="multi_label") for run in runs]
            rows_of = [(s.micro_f1, s.macro_f1, s.per_class["a"].f1) for s in scores]
            means.append(np.average(rows_of, axis=0, weights=seed_count))
        for name, before, after in zip(slow, *means, strict=True):
            slow[name].append(after - before)
    fast = {**dict(result.difference), **result.difference.per_class}
    for name, values in slow.items():
        wanted = np.percentile(values, [2.5, 97.5])
        assert [fast[name].low, fast[name].high] == pytest.approx(wanted, abs=1e-6)


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says():
    wide = truth(20_000, seed=7)
    base, adapted = system(wide, 0.2, 1), system(wide, 0.15, 2)
    full = compare(wide, [base], [adapted], LABELS, resamples=1).difference.micro_f1.mean
    covered = 0
    for start in range(0, 20_000, 200):
        part = slice(start, start + 200)
        drawn = compare(wide[part], [base[part]], [adapted[part]], LABELS, resamples=200)
        entry = drawn.difference.micro_f1
        covered += entry.low <= full <= entry.high
    assert 87 <= covered <= 100


def test_seeds_that_disagree_widen_the_interval():
    gold = truth(2000)
    base = [system(gold, 0.1, seed) for seed in (1, 2)]
    steady = [system(gold, 0.08, seed) for seed in (3, 4)]
    lucky = [system(gold, errors, seed) for errors, seed in ((0.02, 3), (0.14, 4))]
    widths = [
        difference.high - difference.low
        for adapted in (steady, lucky)
        for difference in [compare(gold, base, adapted, LABELS, resamples=300).difference.micro_f1]
    ]
    assert widths[1] > 3 * widths[0]


def test_a_class_without_examples_has_no_numbers():
    gold = truth(50)
    gold[:, 3] = False
    predicted = system(gold, 0.1, 1)
    result = compare(gold, [predicted], [gold], LABELS, resamples=50)
    assert result.difference.per_class["d"] is None
    assert result.systems.base.intervals.per_class["d"] is None
    assert result.systems.base.per_class["d"].f1 is None
    assert result.systems.base.spread == Spread(micro_f1=0, macro_f1=0)


def test_probabilities_give_the_calibration_error():
    gold = truth(60)
    stated = gold * 0.8 + 0.1
    result = compare(gold, [gold], [gold], LABELS, probabilities=([stated], [stated]), resamples=10)
    assert result.systems.adapted.ece == pytest.approx(0.1)
    assert compare(gold, [gold], [gold], LABELS, resamples=10).systems.base.ece is None


def test_one_system_is_scored_as_in_a_comparison():
    gold = truth(100)
    runs = [system(gold, 0.1, seed) for seed in (1, 2)]
    pair = compare(gold, runs, runs, LABELS, resamples=100, shuffles=10).systems.base
    alone = score_seeds(gold, runs, LABELS, kind="multi_label")
    assert pair == SystemMetrics(**dict(alone), intervals=score_intervals(gold, runs, LABELS, resamples=100))


def test_unequal_shapes_and_missing_runs_are_refused():
    gold = truth(10)
    with pytest.raises(DataError, match="seed"):
        compare(gold, [], [gold], LABELS)
    with pytest.raises(DataError, match="rows"):
        compare(gold, [gold], [gold[:5]], LABELS)
