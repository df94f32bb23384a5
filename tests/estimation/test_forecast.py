"""How wide intervals will be, and how many hand labels a width takes."""

import numpy as np
import pytest

from trialtune.estimation.forecast import Forecast, rows_by_hand
from trialtune.estimation.population import Cells
from trialtune.estimation.sampling import Design
from trialtune.estimation.shares import estimate_shares
from trialtune.estimation.tally import everything


def forecast_of(world, design: Design, *, measured: bool = True) -> Forecast:
    tally, _ = world.drawn(np.arange(2))
    rows = len(world.holds)
    return Forecast(world.predicted, world.stated, design, everything(rows), tally, measured)


@pytest.fixture(scope="module")
def world(make_world):
    return make_world(8000, [0.3, 0.04])


@pytest.mark.parametrize("uniform", [True, False])
def test_half_widths_are_those_of_real_draws(world, uniform) -> None:
    """The labels are as the probabilities say; forecast and draws agree within a tenth."""
    design = Design.uniform(8000) if uniform else Design.by_doubt(world.stated)
    expected, gold = forecast_of(world, design).half_widths(400, 0.025)
    widths = []
    for seed in range(1000, 1060):
        places, chances = design.draw(400, seed)
        low, high = estimate_shares(*world.drawn(places, 1 / chances)).bounds(0.025)
        widths.append((high - low)[0] / 2)
    np.testing.assert_allclose(expected[0], np.mean(widths, axis=0), rtol=0.1)
    assert gold.tolist() == [400]


def test_a_finer_precision_takes_more_rows(world) -> None:
    forecast = forecast_of(world, Design.by_doubt(world.stated))
    wanted = np.ones((1, 2), dtype=bool)
    needed = np.array([forecast.rows_for(one, 0.025, wanted)[0][0] for one in (0.06, 0.04, 0.03, 0.02)])
    assert (np.diff(needed, axis=0) >= 0).all() and (needed[-1] > needed[0]).all()
    assert (needed[1:, 0] > needed[1:, 1]).all()  # the rarer class has the narrower interval
    half, _ = forecast.half_widths(int(needed[-1, 0]), 0.025)
    assert half[0, 0] == pytest.approx(0.02, rel=0.1)
    assert np.isinf(forecast.rows_for(1e-6, 0.4, ~wanted)[0]).all()


def test_of_few_rows_enough_are_asked_for(make_world) -> None:
    """Between the last size tried and all rows, where the width is 0, the forecast still holds."""
    small = make_world(100, [0.3, 0.1])
    tally, _ = small.drawn(np.arange(2))
    design = Design.uniform(100)
    forecast = Forecast(small.predicted, small.stated, design, everything(100), tally, True)
    found, tried = forecast.rows_for(0.02, 0.025, np.ones((1, 2), dtype=bool))
    assert tried == 100 and (found < 100).all()
    half, _ = forecast.half_widths(int(found.max()), 0.025)
    assert (half <= 0.021).all()


def test_hand_labels_alone_take_what_wilsons_formula_says(world) -> None:
    precision = np.array([0.02, 0.05])
    for one in precision:
        needed = rows_by_hand(np.array([0.3]), np.array([1.0]), one, 0.025, 10**9)
        assert needed[0] == pytest.approx(1.96**2 * 0.3 * 0.7 / one**2, rel=0.03)
    half_of_it = rows_by_hand(np.array([0.3]), np.array([0.5]), 0.02, 0.025, 10**9)
    assert half_of_it[0] == pytest.approx(2 * 1.96**2 * 0.21 / 0.02**2, rel=0.03)
    # Of few rows, what was drawn leaves less to be known.
    assert rows_by_hand(np.array([0.3]), np.array([1.0]), 0.02, 0.025, 2000)[0] < 1100
    # All rows: nothing is left to be known.
    assert rows_by_hand(np.array([0.3]), np.array([1.0]), 1e-9, 0.025, 500)[0] <= 500


def test_predictions_save_hand_labels(world) -> None:
    wanted = np.ones((1, 2), dtype=bool)
    share = world.stated.mean(axis=0)[None]
    by_hand = rows_by_hand(share, np.ones((1, 2)), 0.02, 0.025, 8000)
    design = Design.by_doubt(world.stated)
    assert (forecast_of(world, design).rows_for(0.02, 0.025, wanted)[0] < 0.8 * by_hand).all()


def test_without_probabilities_of_its_own_the_classifier_is_not_taken_at_its_word(world) -> None:
    """PPI++ is not to be had then: the widths are those of post-stratified shares."""
    design = Design.uniform(8000)
    expected, _ = forecast_of(world, design, measured=False).half_widths(1000, 0.025)
    widths = []
    for seed in range(40):
        low, high = estimate_shares(*world.drawn(design.draw(1000, seed)[0]), method="stratified").bounds(
            0.025
        )
        widths.append((high - low)[0] / 2)
    np.testing.assert_allclose(expected[0], np.mean(widths, axis=0), rtol=0.06)


def test_a_group_that_gets_too_few_rows_has_no_width(world) -> None:
    tally, _ = world.drawn(np.arange(2))
    design = Design.uniform(8000)
    groups = Cells(("many", "few"), np.arange(8000), (np.arange(8000) < 8).astype(np.int64))
    both = np.stack([groups.cells == place for place in (0, 1)])

    def counted(values: np.ndarray) -> np.ndarray:
        return both.astype(float) @ values

    tally = type(tally)(
        rows=both.sum(axis=1).astype(float),
        predicted=counted(world.predicted),
        stated=counted(world.stated),
        squared=counted(world.stated.astype(float) ** 2),
        sampled=np.zeros((2, 2), dtype=bool),
        known_rows=np.zeros(2),
        known_with=np.zeros((2, 2)),
    )
    half, gold = Forecast(world.predicted, world.stated, design, groups, tally, True).half_widths(200, 0.025)
    assert np.isfinite(half[0]).all() and np.isnan(half[1]).all()
    assert gold == pytest.approx([199.8, 0.2], abs=0.3)
