"""Shares hold the truth as often as they say, by every method, and mirror one another."""

from dataclasses import replace

import numpy as np
import pytest

from trialtune.estimation.intervals import score_interval
from trialtune.estimation.sampling import Design
from trialtune.estimation.shares import (
    EXACT,
    HAND,
    KNOWN,
    METHODS,
    NONE,
    PPI,
    STRATIFIED,
    estimate_shares,
)

EVERY = pytest.mark.parametrize("method", ["auto", "hand", "exact", "stratified", "ppi"])


@pytest.fixture(scope="module")
def world(make_world):
    return make_world(20_000, [0.3, 0.05, 0.005, 0.6])


@EVERY
def test_a_class_and_its_complement_mirror_each_other_under_weights(world, method) -> None:
    places, chances = Design.by_doubt(world.stated).draw(400, 2)
    ours = estimate_shares(*world.drawn(places, 1 / chances), method=method)
    mirrored = estimate_shares(*world.complement().drawn(places, 1 / chances), method=method)
    np.testing.assert_allclose(mirrored.estimate, 1 - ours.estimate, atol=1e-6)
    low, high = ours.bounds(0.025)
    np.testing.assert_allclose(mirrored.bounds(0.025), (1 - high, 1 - low), atol=1e-5)
    assert (mirrored.methods == ours.methods).all()


@EVERY
def test_asking_for_the_complement_as_well_changes_nothing(world, method) -> None:
    places, chances = Design.by_doubt(world.stated).draw(400, 2)
    both = replace(
        world,
        holds=np.hstack([world.holds, ~world.holds]),
        stated=np.hstack([world.stated, 1 - world.stated]),
    )
    alone = estimate_shares(*world.drawn(places, 1 / chances), method=method)
    among = estimate_shares(*both.drawn(places, 1 / chances), method=method)
    np.testing.assert_allclose(np.array(among.bounds(0.025))[..., :4], alone.bounds(0.025), rtol=1e-12)


@EVERY
def test_one_sided_bounds_are_those_of_the_interval_that_leaves_twice_as_much(world, method) -> None:
    found = estimate_shares(*world.drawn(np.arange(500)), method=method)
    two_sided, one_sided = np.array(found.bounds(0.025)), np.array(found.bounds(0.05))
    assert (one_sided[0] > two_sided[0]).all() and (one_sided[1] < two_sided[1]).all()
    np.testing.assert_allclose(one_sided, found.bounds(np.full((1, 4), 0.05)))


@EVERY
@pytest.mark.parametrize("rows", [2, 10, 60])
def test_bounds_hold_the_share_and_stay_within_0_and_1(world, method, rows) -> None:
    for seed in range(40):
        places, chances = Design.by_doubt(world.stated).draw(rows, seed)
        found = estimate_shares(*world.drawn(places, 1 / chances), method=method, min_gold=2)
        low, high = found.bounds(0.025)
        assert ((low >= 0) & (high <= 1) & (low < high)).all()
        assert (low <= found.estimate).all() and (found.estimate <= high).all()


@EVERY
def test_no_method_is_certain_of_what_a_few_rows_show(make_world, method) -> None:
    """All gold rows have the class, and are predicted so: the share may be less, all the same."""
    world = make_world(5000, [0.5], sharp=4)
    assert (world.holds == world.predicted).mean() > 0.999
    places = np.flatnonzero(world.holds[:, 0])[:50]
    low, high = estimate_shares(*world.drawn(places), method=method).bounds(0.025)
    assert high[0, 0] - low[0, 0] > 0.04


@pytest.mark.parametrize("method", ["hand", "exact"])
def test_a_class_that_always_holds_has_the_effective_rows_of_the_weights(world, method) -> None:
    always = replace(world, holds=np.ones_like(world.holds))
    random = np.random.default_rng(4)
    places = np.arange(200)
    for spread in (0.0, 0.3, 0.9):
        weights = 100 * (1 + spread * random.uniform(-1, 1, 200))
        effective = weights.sum() ** 2 / (weights**2).sum() / (1 - 200 / 20_000)
        found = estimate_shares(*always.drawn(places, weights), method=method)
        assert (found.estimate == 1).all()
        np.testing.assert_allclose(found.n[0], effective, rtol=1e-9)
        if method == "hand":
            low, _ = score_interval(np.ones(4), np.full(4, effective), tail=0.025)
            np.testing.assert_allclose(found.bounds(0.025)[0][0], low, rtol=1e-12)


def covered(world, design: Design, rows: int, draws: int, method="auto"):
    """Of so many draws: how often each class's interval holds the truth, and its mean width."""
    truth, held, widths = world.holds.mean(axis=0), [], []
    for seed in range(draws):
        places, chances = design.draw(rows, seed)
        low, high = estimate_shares(*world.drawn(places, 1 / chances), method=method).bounds(0.025)
        held.append(((low <= truth) & (truth <= high))[0])
        widths.append((high - low)[0])
    assert len({tuple(width) for width in widths}) > draws / 2  # each draw has its own interval
    return np.mean(held, axis=0), np.mean(widths, axis=0)


@pytest.mark.parametrize("method", ["auto", "hand", "stratified", "exact"])
@pytest.mark.parametrize("uniform", [True, False])
def test_intervals_hold_the_truth_of_rare_classes_too(make_world, uniform, method) -> None:
    """Gold rows are redrawn each time: the population alone stays."""
    world = make_world(6000, [0.3, 0.05, 0.005])
    design = Design.uniform(6000) if uniform else Design.by_doubt(world.stated)
    held, _ = covered(world, design, 300, 400, method)
    assert (held >= 0.93).all()


def test_predictions_and_doubtful_rows_make_intervals_narrower(make_world) -> None:
    world = make_world(6000, [0.3, 0.05, 0.005])
    _, alone = covered(world, Design.uniform(6000), 300, 40, "hand")
    _, predicted = covered(world, Design.uniform(6000), 300, 40)
    _, doubtful = covered(world, Design.by_doubt(world.stated), 300, 40)
    assert (predicted[:2] < 0.85 * alone[:2]).all() and (doubtful < predicted).all()
    assert predicted[2] < 1.02 * alone[2] and doubtful[2] < 0.95 * alone[2]


@pytest.mark.parametrize(("share", "rows"), [(0.3, 30), (0.05, 100), (0.01, 200)])
@pytest.mark.parametrize("sharp", [0.3, 0.8, 2])
def test_of_few_rows_auto_never_makes_a_normal_interval(make_world, share, rows, sharp) -> None:
    world = make_world(5000, [share], sharp=sharp)
    for seed in range(100):
        for design in (Design.uniform(5000), Design.by_doubt(world.stated)):
            places, chances = design.draw(rows, seed)
            found = estimate_shares(*world.drawn(places, 1 / chances))
            assert found.methods[0, 0] in (HAND, STRATIFIED)


def test_auto_says_what_it_chose(world) -> None:
    places = np.random.default_rng(0).choice(20_000, 1000, replace=False)
    tally, gold = world.drawn(places)
    found = estimate_shares(tally, gold)
    misread = (world.holds != world.predicted)[places].sum(axis=0)
    assert [METHODS[place] for place in found.methods[0]] == [
        "ppi" if count >= 20 else "stratified" for count in misread
    ]
    assert PPI in found.methods[0]
    unstated = estimate_shares(replace(tally, stated=None, squared=None), replace(gold, stated=None))
    assert (unstated.methods == STRATIFIED).all()
    # No gold row has the rare class predicted: nothing tells how often that is right.
    blind = np.flatnonzero(~world.predicted[:, 2])[:300]
    found = estimate_shares(*world.drawn(blind))
    assert found.methods[0, 2] == HAND


def test_rows_with_known_labels_have_no_sampling_error(world) -> None:
    tally, gold = world.drawn(np.arange(300))
    known = replace(tally, known_rows=np.array([20_000.0]), known_with=np.full((1, 4), 5000.0))
    half = estimate_shares(known, gold)
    whole = estimate_shares(tally, gold)
    np.testing.assert_allclose(half.estimate, (whole.estimate + 0.25) / 2)
    width, usual = (np.subtract(*found.bounds(0.025)) for found in (half, whole))
    np.testing.assert_allclose(width, usual / 2)
    alone = replace(known, rows=np.zeros(1), predicted=np.zeros((1, 4)), sampled=np.zeros((1, 300), bool))
    found = estimate_shares(alone, gold)
    assert (found.methods == KNOWN).all()
    assert np.array(found.bounds(0.025)) == pytest.approx(0.25)
    noisy = estimate_shares(alone, gold, noise=0.02)
    assert np.array(noisy.bounds(0.025))[:, 0, 0] == pytest.approx([0.245, 0.255])


@EVERY
@pytest.mark.parametrize("rows", [0, 1, 9])
def test_a_group_of_too_few_gold_rows_has_no_share(world, rows, method) -> None:
    tally, gold = world.drawn(np.arange(300))
    tally = replace(tally, sampled=np.arange(300)[None] < rows)
    found = estimate_shares(tally, gold, method=method)
    assert (found.methods == NONE).all()
    assert np.isnan(found.estimate).all() and np.isnan(found.bounds(0.025)).all()
    assert found.gold.tolist() == [rows]


def test_every_row_labelled_leaves_nothing_to_be_known(make_world) -> None:
    world = make_world(60, [0.4])
    for method in ("hand", "exact", "stratified"):
        found = estimate_shares(*world.drawn(np.arange(60)), method=method)
        assert np.array(found.bounds(0.025)) == pytest.approx(world.holds.mean())


def test_the_method_that_was_asked_for_is_the_one_that_is_used(world) -> None:
    given = world.drawn(np.random.default_rng(0).choice(20_000, 2000, replace=False))
    for method, place in (("hand", HAND), ("exact", EXACT), ("stratified", STRATIFIED), ("ppi", PPI)):
        assert (estimate_shares(*given, method=method).methods[0, [0, 1, 3]] == place).all()
