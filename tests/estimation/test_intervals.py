"""Intervals of a share: the textbooks' where they are right, covering where theirs do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from trialtune.estimation.intervals import combined, exact_interval, score_interval, tail_of

SIZES = [1, 7, 20, 50, 300, 1000]
BOTH = pytest.mark.parametrize("interval", [score_interval, exact_interval])
shares = st.floats(0, 1)
sizes = st.floats(0.5, 1e5)
tails = st.floats(1e-6, 0.2)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("tail", [0.005, 0.025, 0.1])
def test_the_score_interval_is_wilsons_where_there_are_three_events(n, tail) -> None:
    count = np.arange(n + 1)
    low, high = score_interval(count / n, n, tail=tail)
    wilson_low, wilson_high = proportion_confint(count, n, alpha=2 * tail, method="wilson")
    np.testing.assert_allclose(low[count >= 3], wilson_low[count >= 3], atol=1e-12)
    np.testing.assert_allclose(high[n - count >= 3], wilson_high[n - count >= 3], atol=1e-12)
    # Elsewhere it is wider on the side of the few, and Wilson's on the other.
    assert (low <= wilson_low + 1e-12).all() and (high >= wilson_high - 1e-12).all()
    np.testing.assert_allclose(high[n - count > 3], wilson_high[n - count > 3], atol=1e-12)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("tail", [0.005, 0.025, 0.1])
def test_the_exact_interval_is_clopper_and_pearsons(n, tail) -> None:
    count = np.arange(n + 1)
    found = exact_interval(count / n, n, tail=tail)
    np.testing.assert_allclose(found, proportion_confint(count, n, alpha=2 * tail, method="beta"), atol=1e-12)


@BOTH
@given(share=shares, n=sizes, tail=tails)
def test_bounds_hold_the_share_and_stay_within_0_and_1(interval, share, n, tail) -> None:
    low, high = interval(share, n, tail=tail)
    # An effective number of rows may have less than one event: its share lies within by continuity alone.
    assert 0 <= low <= share + 1e-9 and share - 1e-9 <= high <= 1


@BOTH
@given(share=shares, n=sizes, tail=tails)
def test_what_does_not_hold_has_the_mirrored_interval(interval, share, n, tail) -> None:
    low, high = interval(share, n, tail=tail)
    np.testing.assert_allclose(interval(1 - share, n, tail=tail), (1 - high, 1 - low), atol=1e-7)


@BOTH
@given(share=st.floats(0.01, 0.99), n=st.floats(1, 1e4), tail=tails)
def test_four_times_the_rows_are_narrower(interval, share, n, tail) -> None:
    few, many = (np.subtract(*interval(share, rows, tail=tail)[::-1]) for rows in (n, 4 * n))
    assert many < few


@BOTH
def test_a_known_share_is_its_own_interval_and_no_rows_say_nothing(interval) -> None:
    share = np.array([0, 0.3, 1, 0, 0.3, 1])
    rows = np.array([np.inf] * 3 + [0] * 3)
    low, high = interval(share, rows, tail=0.025)
    assert low.tolist() == [0, 0.3, 1, 0, 0, 0]
    assert high.tolist() == [0, 0.3, 1, 1, 1, 1]


@BOTH
def test_each_share_may_have_its_own_tail(interval) -> None:
    share, n, tail = np.array([0.0, 0.02, 0.4, 1.0]), np.array([40.0, 90, 300, 12]), [0.001, 0.02, 0.05, 0.1]
    together = np.stack(interval(share, n, tail=np.array(tail)))
    alone = [interval(*one[:2], tail=one[2]) for one in zip(share, n, tail, strict=True)]
    np.testing.assert_allclose(together.T, alone, rtol=1e-12)


def coverage(interval, n: int, share: np.ndarray) -> np.ndarray:
    """How often the interval of n rows holds each share, over all counts."""
    count = np.arange(n + 1)
    low, high = interval(count / n, n, tail=0.025)
    inside = (low <= share[:, None]) & (share[:, None] <= high)
    return (binom.pmf(count, n, share[:, None]) * inside).sum(axis=1)


@pytest.mark.parametrize("n", [20, 50, 100, 300, 1000])
def test_how_often_the_intervals_hold(n) -> None:
    """The exact one always. The score interval falls below .94 where a count leaves it, never under .915.

    It is least just beyond a bound. Over all shares the score interval holds as often as it says.
    """
    bounds = np.concatenate(score_interval(np.arange(n + 1) / n, n, tail=0.025))
    beyond = np.clip(np.concatenate([bounds - 1e-9, bounds + 1e-9]), 1e-9, 1 - 1e-9)
    assert 0.915 < coverage(score_interval, n, beyond).min() < 0.94
    assert coverage(score_interval, n, np.linspace(0.0005, 0.9995, 1999)).mean() > 0.95
    exact = np.concatenate(exact_interval(np.arange(n + 1) / n, n, tail=0.025))
    beyond = np.clip(np.concatenate([exact - 1e-9, exact + 1e-9]), 1e-9, 1 - 1e-9)
    assert coverage(exact_interval, n, beyond).min() > 0.95


def test_wilson_alone_covers_rare_shares_less() -> None:
    n, share = 300, np.linspace(0.0003, 0.01, 500)

    def plain(found, n, tail):
        return proportion_confint(np.round(found * n), n, alpha=2 * tail, method="wilson")

    assert coverage(plain, n, share).min() < 0.85
    assert coverage(score_interval, n, share).min() > 0.915


def test_one_sided_levels_leave_all_of_it_on_one_side() -> None:
    assert tail_of(0.95, "two-sided") == pytest.approx(0.025)
    assert tail_of(0.95, "larger") == tail_of(0.95, "smaller") == pytest.approx(tail_of(0.9, "two-sided"))


parts = st.lists(st.tuples(shares, shares, shares).map(sorted), min_size=1, max_size=4)


@given(parts, st.data())
def test_sums_of_shares(bounds, data) -> None:
    low, share, high = np.array(bounds).T
    weights = np.array(data.draw(st.lists(st.floats(-3, 3), min_size=len(share), max_size=len(share))))
    total, lower, upper = combined(weights, share, low, high)
    assert total == pytest.approx(weights @ share)
    assert lower <= total <= upper
    # With the signs turned around it is mirrored; an exact part adds nothing.
    assert [-upper, -lower] == pytest.approx(combined(-weights, share, low, high)[1:])
    more = [np.append(values, one) for values, one in ((weights, 2), (share, 0.5), (low, 0.5), (high, 0.5))]
    assert combined(*more) == pytest.approx((total + 1, lower + 1, upper + 1))


@given(shares, shares, shares)
def test_a_sum_of_one_part_is_that_part(first, second, third) -> None:
    low, share, high = sorted((first, second, third))
    found = combined(np.ones(1), *(np.array([value]) for value in (share, low, high)))
    assert found == pytest.approx((share, low, high))


def test_a_sum_of_independent_shares_is_as_wide_as_their_normal_sum() -> None:
    n, share = np.array([4000.0, 9000]), np.array([0.3, 0.55])
    weights = np.array([0.4, 0.6])
    _, low, high = combined(weights, share, *score_interval(share, n, tail=0.025))
    error = np.sqrt((weights**2 * share * (1 - share) / n).sum())
    assert high - low == pytest.approx(2 * 1.959964 * error, rel=0.01)
