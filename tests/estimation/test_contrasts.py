"""Differences, ratios and trends, against what is worked out by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from trialtune.estimation.contrasts import Contrast, differences, ratios, yearly_change
from trialtune.estimation.population import Cells
from trialtune.estimation.sampling import Design
from trialtune.estimation.shares import HAND, NONE, Shares, estimate_shares
from trialtune.evaluation.randomization import holm


def made(share: np.ndarray, n: float | np.ndarray) -> Shares:
    """Shares [groups, classes] of one part, from n rows."""
    share = np.atleast_2d(np.asarray(share, dtype=float))
    groups = share.shape[0]
    return Shares(
        weights=np.ones((1, *share.shape)),
        parts=share[None],
        n=np.broadcast_to(np.asarray(n, dtype=float), share.shape)[None],
        methods=np.full(share.shape, HAND),
        gold=np.full(groups, 100.0),
        gold_with=share * 100,
        noise=np.zeros(share.shape),
    )


def test_of_known_shares_differences_and_ratios_are_exact() -> None:
    mine, theirs = made([[0.3, 0.1, 0.2]], np.inf), made([[0.2, 0.1, 0.4]], np.inf)
    contrast = differences(mine, theirs)
    np.testing.assert_allclose(contrast.estimate, [[0.1, 0, -0.2]], atol=1e-15)
    np.testing.assert_allclose(contrast.bounds(0.025), [contrast.estimate] * 2, atol=1e-15)
    np.testing.assert_allclose(ratios(mine, theirs, 0.025), [[[1.5, 1, 0.5]]] * 3, rtol=1e-12)
    first, same, third = contrast.p_values()[0]
    assert first < 1e-11 and third < 1e-11 and same == pytest.approx(1)


def test_the_difference_of_many_rows_is_normal() -> None:
    share, other, n, m = 0.31, 0.28, 40_000, 20_000
    contrast = differences(made([[share]], n), made([[other]], m))
    error = np.sqrt(share * (1 - share) / n + other * (1 - other) / m)
    low, high = contrast.bounds(0.025)
    assert [low[0, 0], high[0, 0]] == pytest.approx(
        [0.03 - 1.959964 * error, 0.03 + 1.959964 * error], abs=5e-5
    )
    assert contrast.p_values()[0, 0] == pytest.approx(2 * norm.sf(0.03 / error), rel=0.05)
    ratio, low, high = ratios(made([[share]], n), made([[other]], m), 0.025)
    error = np.sqrt((1 - share) / share / n + (1 - other) / other / m)
    assert np.log([low[0, 0], ratio[0, 0], high[0, 0]]) == pytest.approx(
        np.log(share / other) + np.array([-1.959964, 0, 1.959964]) * error, abs=2e-4
    )


def test_swapped_groups_turn_the_sign() -> None:
    mine, theirs = made([[0.3, 0.02, 0]], 80), made([[0.2, 0.1, 0.4]], 300)
    one, other = differences(mine, theirs), differences(theirs, mine)
    low, high = one.bounds(0.025)
    np.testing.assert_allclose(other.bounds(0.025), (-high, -low))
    np.testing.assert_allclose(one.p_values(), other.p_values())
    ratio, low, high = (values[0, :2] for values in ratios(mine, theirs, 0.025))
    turned = [values[0, :2] for values in ratios(theirs, mine, 0.025)]
    np.testing.assert_allclose(turned, (1 / ratio, 1 / high, 1 / low))


def test_p_is_below_05_where_the_interval_excludes_0() -> None:
    random = np.random.default_rng(0)
    mine, theirs = (
        made(random.uniform(0, 0.3, (40, 10)), random.integers(10, 900, (40, 10))) for _ in range(2)
    )
    contrast = differences(mine, theirs)
    p = contrast.p_values()
    for level in (0.9, 0.95, 0.99):
        low, high = contrast.bounds((1 - level) / 2)
        assert ((p < 1 - level) == ((low > 0) | (high < 0))).all()
    assert 0.1 < (p < 0.05).mean() < 0.9
    at_p = contrast.bounds(p / 2)
    touching = np.minimum(np.abs(at_p[0]), np.abs(at_p[1]))
    assert touching[(p > 1e-9) & (p < 0.99)].max() < 1e-6


def test_ratios_to_nothing() -> None:
    ratio, low, high = ratios(made([[0.2, 0, 0]], 100), made([[0, 0.2, 0]], 100), 0.025)
    assert np.isnan(ratio[0, [0, 2]]).all() and ratio[0, 1] == 0
    assert np.isinf(high[0, [0, 2]]).all() and np.isfinite(high[0, 1])
    assert low[0, 0] > 1 and low[0, 1] == 0 == low[0, 2]


def test_a_group_without_a_share_has_no_contrast() -> None:
    mine = made([[0.2, 0.3]], 100)
    mine.methods[:] = NONE
    contrast = differences(mine, made([[0.1, 0.1]], 100))
    assert np.isnan(contrast.estimate).all() and np.isnan(contrast.p_values()).all()
    assert np.isnan(holm(contrast.p_values()[0])).all()
    assert np.isnan(ratios(mine, made([[0.1, 0.1]], 100), 0.025)).all()


def test_the_trend_of_a_straight_line_is_its_slope() -> None:
    years = np.array([2010.0, 2011, 2013, 2020])
    rows = np.array([100.0, 900, 30, 500])
    shares = np.stack([0.1 + 0.01 * (years - 2010), 0.5 - 0.02 * (years - 2010)], axis=1)
    known = yearly_change(made(shares, np.inf), years, rows)
    np.testing.assert_allclose(known.estimate, [[0.01, -0.02]])
    np.testing.assert_allclose(known.bounds(0.025), [[[0.01, -0.02]]] * 2)
    drawn = yearly_change(made(shares, 400), years, rows)
    low, high = drawn.bounds(0.025)
    assert (low < known.estimate).all() and (known.estimate < high).all()


def test_the_trend_is_numpys_weighted_line() -> None:
    random = np.random.default_rng(2)
    years, rows = np.arange(2001.0, 2013), random.integers(10, 500, 12).astype(float)
    shares = random.uniform(0, 1, (12, 3))
    found = yearly_change(made(shares, 50), years, rows).estimate[0]
    for column in range(3):
        slope, _ = np.polyfit(years, shares[:, column], 1, w=np.sqrt(rows))
        assert found[column] == pytest.approx(slope)


def test_intervals_of_differences_hold() -> None:
    """Of two groups of 120 and 300 rows, in 4,000 draws; and p-values of no difference are even."""
    random = np.random.default_rng(1)
    for share, other in ((0.05, 0.15), (0.3, 0.3), (0.01, 0.01)):
        mine, theirs = (
            made((random.binomial(n, true, 4000) / n)[:, None], n) for n, true in ((120, share), (300, other))
        )
        contrast: Contrast = differences(mine, theirs)
        low, high = contrast.bounds(0.025)
        assert ((low <= share - other) & (share - other <= high)).mean() > 0.94
        if share == other:
            assert (contrast.p_values() < 0.05).mean() < 0.06


def test_groups_their_differences_and_their_trend_hold_in_draws_of_doubtful_rows(make_world) -> None:
    """Gold rows are drawn from all rows, whatever their group, 300 times."""
    world = make_world(6000, [0.3, 0.05])
    group = np.arange(6000) % 3
    cells = Cells(("2019", "2020", "2021"), np.arange(6000), group)
    years, rows = np.array([2019.0, 2020, 2021]), np.full(3, 2000.0)
    truth = np.stack([world.holds[group == place].mean(axis=0) for place in range(3)])
    rest = np.stack([world.holds[group != place].mean(axis=0) for place in range(3)])
    slope = np.stack([np.polyfit(years, truth[:, column], 1)[0] for column in range(2)])
    design = Design.by_doubt(world.stated)
    held = []
    for seed in range(300):
        places, chances = design.draw(400, seed)
        whole, gold = world.drawn(places, 1 / chances)
        groups = world.counted(places).tally(cells)
        others = whole.at(np.zeros(3, dtype=np.int64)).minus(groups)
        shares = estimate_shares(groups, gold)
        change = yearly_change(shares, years, rows)
        for (low, high), true in (
            (shares.bounds(0.025), truth),
            (differences(shares, estimate_shares(others, gold)).bounds(0.025), truth - rest),
            (change.bounds(0.025), slope[None]),
        ):
            held.append(((low <= true) & (true <= high)).mean(axis=0))
    assert (np.mean(np.reshape(held, (300, 3, 2)), axis=0) > 0.93).all()
