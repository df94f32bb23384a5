"""p-values: near the exact ones, uniform under no difference, Holm as published."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from trialtune.evaluation.randomization import f1_of_counts, holm, swap_test


def truth(rows, seed=0):
    gold = np.random.default_rng(seed).random((rows, 3)) < (0.5, 0.3, 0.2)
    gold[~gold.any(axis=1), 0] = True
    return gold


def noisy(gold, errors, seed):
    return gold ^ (np.random.default_rng(seed).random(gold.shape) < errors)


def f1s(gold, predicted):
    each = f1_score(gold, predicted, average=None, zero_division=0)
    return np.array([f1_score(gold, predicted, average="micro"), each.mean(), *each])


def test_near_the_exact_p_of_all_swaps():
    gold = truth(8, seed=3)
    base, adapted = (
        [noisy(gold, errors, seed) for seed in seeds] for errors, seeds in ((0.4, (1, 2)), (0.1, (3, 4)))
    )

    def difference(swapped):
        mask = np.array(swapped)[:, None]
        pairs = [(np.where(mask, a, b), np.where(mask, b, a)) for b, a in zip(base, adapted, strict=True)]
        return np.mean([f1s(gold, a) - f1s(gold, b) for b, a in pairs], axis=0)

    drawn = np.abs([difference(swapped) for swapped in product((False, True), repeat=8)])
    exact = (drawn >= drawn[0] - 1e-9).mean(axis=0)  # the first swaps nothing
    assert swap_test(gold, base, adapted, shuffles=20_000) == pytest.approx(exact, abs=0.02)


def test_no_difference_gives_small_p_as_seldom_as_it_should():
    small = 0
    for seed in range(200):
        gold = truth(80, seed=seed)
        p = swap_test(gold, [noisy(gold, 0.2, 2 * seed)], [noisy(gold, 0.2, 2 * seed + 1)], shuffles=400)
        small += p[0] < 0.05
    assert 1 <= small <= 22  # 10 are expected


def test_a_clear_difference_has_the_least_p_there_is():
    gold = truth(300)
    p = swap_test(gold, [noisy(gold, 0.3, 1)], [noisy(gold, 0.02, 2)], shuffles=999)
    assert p == pytest.approx(0.001)


def test_a_class_without_gold_has_no_p():
    gold = truth(50)
    gold[:, 2] = False
    p = swap_test(gold, [noisy(gold, 0.2, 1)], [noisy(gold, 0.1, 2)], shuffles=100)
    assert np.isnan(p[4])
    assert not np.isnan(p[:4]).any()


def test_holm_by_hand():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    assert holm(p) == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_only_raises_keeps_the_order_and_lies_below_bonferroni(values):
    p = np.array(values)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(p * len(p), 1) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()


@given(arrays(bool, (12, 2)), arrays(bool, (12, 2)))
def test_f1_from_counts_is_that_of_scikit_learn(gold, predicted):
    gold[0] = True
    hits = (gold & predicted).sum(axis=0)
    sizes = gold.sum(axis=0) + predicted.sum(axis=0)
    assert f1_of_counts(hits, sizes, gold.sum(axis=0)) == pytest.approx(f1s(gold, predicted))
