"""What is drawn: chances that are known, doubtful rows more often, none left without."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialtune.estimation.sampling import Design, assumed_probabilities


@st.composite
def probabilities(draw) -> np.ndarray:
    """Odd ones: few rows, all alike, a class that is constant, or sure."""
    rows, classes = draw(st.integers(2, 300)), draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    stated = random.beta(0.2, draw(st.sampled_from([0.2, 2, 50])), (rows, classes))
    if draw(st.booleans()):
        stated[:, 0] = draw(st.sampled_from([0, 0.5, 1, 1e-30]))
    if draw(st.booleans()):
        stated[:] = stated[0]
    return stated.astype(np.float32)


@settings(max_examples=150)
@given(stated=probabilities(), share=st.floats(0.01, 1), seed=st.integers(0, 5))
def test_the_sheet_stands_for_the_population(stated, share, seed) -> None:
    design = Design.by_doubt(stated)
    assert design.sizes.sum() == len(stated) and design.sizes.min() > 0
    assert (np.bincount(design.stratum) == design.sizes).all()
    rows = max(int(share * len(stated)), 1)
    places, chances = design.draw(rows, seed)
    assert len(set(places.tolist())) == len(places) == design.allocated(rows).sum()
    assert ((chances > 0) & (chances <= 1)).all()
    assert (1 / chances).sum() == pytest.approx(len(stated))
    again, _ = design.draw(rows, seed)
    assert (places == again).all()


@settings(max_examples=150)
@given(stated=probabilities(), rows=st.integers(2, 300))
def test_as_many_rows_are_drawn_as_were_asked_for(stated, rows) -> None:
    rows = min(rows, len(stated))
    drawn = Design.by_doubt(stated).allocated(rows).sum()
    least = 2 * len(Design.by_doubt(stated).sizes)  # two of each stratum, where they have two
    assert drawn == rows or rows < drawn <= least


def test_rows_of_doubt_and_of_rare_classes_are_drawn_more_often(make_world) -> None:
    stated = make_world(20_000, [0.3, 0.01]).stated
    design = Design.by_doubt(stated)
    assert len(design.sizes) == 8
    chance = design.allocated(400) / design.sizes
    doubt = np.array([(stated * (1 - stated))[design.stratum == place].mean() for place in range(8)])
    assert (np.diff(chance) > 0).all() and doubt[-1] > 20 * doubt[0]
    rare = (stated[:, 1] > 0.3) & (stated[:, 1] < 0.7)
    assert chance[design.stratum[rare]].mean() > 2 * 400 / 20_000


@pytest.mark.parametrize("shares", [[0.3], [0.3, 0.01], [0.001] * 5])
def test_no_row_stands_for_many_more_than_its_like(make_world, shares) -> None:
    design = Design.by_doubt(make_world(20_000, shares).stated)
    weights = design.sizes / design.allocated(400)
    assert weights.max() < 2.2 * 20_000 / 400


def test_what_a_small_stratum_lacks_the_others_give() -> None:
    stated = np.array([[0.5]] * 10 + [[1e-6]] * 2000, dtype=np.float32)
    design = Design.by_doubt(stated)
    assert design.sizes.min() <= 10
    assert design.allocated(600).sum() == 600 and design.allocated(2010).sum() == 2010


def test_another_seed_draws_others_in_another_order(make_world) -> None:
    design = Design.by_doubt(make_world(5000, [0.3]).stated)
    one, other = (set(design.draw(200, seed)[0].tolist()) for seed in (1, 2))
    assert len(one & other) < 50
    # From the top, the sheet is a mixture of all strata.
    places, _ = design.draw(200, 1)
    assert len(set(design.stratum[places[:60]])) == len(design.sizes)


def test_a_uniform_design_gives_all_rows_the_same_chance() -> None:
    places, chances = Design.uniform(300).draw(40, 7)
    assert len(places) == 40 and set(chances) == {40 / 300}
    hits = np.bincount(np.concatenate([Design.uniform(50).draw(10, seed)[0] for seed in range(2000)]))
    assert abs(hits - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)


def test_each_row_is_drawn_as_often_as_its_chance_says(make_world) -> None:
    design = Design.by_doubt(make_world(200, [0.3, 0.05]).stated)
    expected = (design.allocated(40) / design.sizes)[design.stratum]
    drawn = np.concatenate([design.draw(40, seed)[0] for seed in range(2000)])
    often = np.bincount(drawn, minlength=200) / 2000
    assert (abs(often - expected) < 5 * np.sqrt(expected * (1 - expected) / 2000) + 1e-9).all()


def test_labels_without_probabilities_get_some_that_keep_their_share() -> None:
    predicted = np.random.default_rng(0).random((1000, 3)) < [0.3, 0.01, 0.9]
    predicted[:, 1] &= False
    stated = assumed_probabilities(predicted)
    assert ((stated >= 0) & (stated <= 1)).all()
    np.testing.assert_allclose(stated.mean(axis=0), predicted.mean(axis=0), atol=1e-6)
    assert stated[predicted[:, 0], 0] == pytest.approx(0.8)
    assert stated[~predicted[:, 2], 2] == pytest.approx(0.2)  # most rows have it: the few without may err
    np.testing.assert_allclose(assumed_probabilities(~predicted), 1 - stated, atol=1e-6)
