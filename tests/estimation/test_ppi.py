"""PPI++: what the authors' own code computes, where that is right."""

import numpy as np
import pytest
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate
from scipy.special import ndtri

from trialtune.estimation.ppi import power_tuned
from trialtune.estimation.sampling import Design

SHARES = [0.3, 0.05, 0.6, 0.01]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sharp", [0.2, 1.2])
def test_share_and_error_are_those_of_the_authors_code(make_world, seed, sharp) -> None:
    world = make_world(3000, SHARES, seed=seed, sharp=sharp)
    places = np.random.default_rng(seed).choice(3000, 400, replace=False)
    rest = np.setdiff1d(np.arange(3000), places)
    ours = power_tuned(*world.drawn(places))
    for column in range(len(SHARES)):
        given = (
            world.holds[places, column].astype(float),
            world.stated[places, column].astype(float),
            world.stated[rest, column].astype(float),
        )
        [share], (low, high) = ppi_mean_pointestimate(*given), ppi_mean_ci(*given, alpha=0.05)
        assert ours.share[0, column] == pytest.approx(share, abs=1e-9)
        assert ours.error[0, column] == pytest.approx((high[0] - low[0]) / 2 / -ndtri(0.025), abs=1e-9)
        # The share that a power gives is a line in it: so the powers are equal, too.
        [without], [whole] = ppi_mean_pointestimate(*given, lam=0), ppi_mean_pointestimate(*given, lam=1)
        power = (share - without) / (whole - without)
        assert ours.power[0, column] == pytest.approx(power, abs=1e-6)


def test_predictions_that_tell_nothing_have_no_power(make_world) -> None:
    world = make_world(2000, [0.3], sharp=1e-6)
    places = np.random.default_rng(1).choice(2000, 300, replace=False)
    found = power_tuned(*world.drawn(places))
    assert found.power[0, 0] < 0.1
    assert found.share[0, 0] == pytest.approx(world.holds[places].mean(), abs=1e-3)


def test_the_weighted_variance_is_centred(make_world) -> None:
    """A class and its complement have the same error, however unequal the weights."""
    world = make_world(4000, SHARES)
    design = Design.by_doubt(world.stated)
    places, chances = design.draw(400, 3)
    ours = power_tuned(*world.drawn(places, 1 / chances))
    mirrored = power_tuned(*world.complement().drawn(places, 1 / chances))
    np.testing.assert_allclose(mirrored.share, 1 - ours.share, atol=1e-6)
    np.testing.assert_allclose(mirrored.error, ours.error, atol=1e-6)
    np.testing.assert_allclose(mirrored.power, ours.power, atol=1e-4)


def test_the_effective_rows_are_those_of_a_uniform_draw_of_that_error(make_world) -> None:
    world = make_world(4000, SHARES)
    found = power_tuned(*world.drawn(np.arange(500)))
    np.testing.assert_allclose(np.sqrt(found.share * (1 - found.share) / found.n), found.error, rtol=1e-9)
    assert (found.n[0, :3] > 500).all()  # predictions are worth rows
