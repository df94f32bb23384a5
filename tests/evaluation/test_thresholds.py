"""Decisions: thresholds that fit, rows marked for review, files that are checked."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score

from trialtune.errors import DataError
from trialtune.evaluation.decision import Calibration, Decision
from trialtune.evaluation.thresholds import expected_f1, tune_decision

ROWS = hnp.arrays(float, (12, 3), elements=st.floats(0, 1, width=32))


def simulated(rows, *, frequent=0.4, rare=0.02, seed=0):
    """Probabilities that come true as often as they say, of a clear and a blurred label."""
    rng = np.random.default_rng(seed)
    probabilities = np.column_stack(
        [rng.beta(0.2, 0.2 * (1 - frequent) / frequent, rows), rng.beta(0.5, 0.5 * (1 - rare) / rare, rows)]
    )
    return probabilities, rng.random(probabilities.shape) < probabilities


def test_the_promised_f1_is_reached_and_half_of_it_is_the_best_threshold():
    probabilities, gold = simulated(200_000)
    for stated, true in zip(probabilities.T, gold.T, strict=True):
        promised = expected_f1(stated, np.ones(len(stated)))
        assert f1_score(true, stated >= promised / 2) == pytest.approx(promised, abs=0.02)
        for other in (promised / 2 - 0.1, promised / 2 + 0.1):
            assert f1_score(true, stated >= other) < promised + 0.02


def test_a_class_hard_to_reach_gets_a_lower_threshold():
    probabilities, gold = simulated(4000)
    clear, blurred = tune_decision(probabilities, gold, kind="multi_label", labels="xy").thresholds
    assert 0.4 < clear < 0.5
    assert 0.15 <= blurred < 0.35


def test_a_class_without_examples_in_the_fold_gets_a_threshold():
    probabilities, gold = simulated(500)
    gold[:, 1] = False
    decision = tune_decision(probabilities, gold, kind="multi_label", labels="xy")
    assert 0.15 <= decision.thresholds[1] <= 0.5


def test_weights_stand_for_repeated_rows():
    rng = np.random.default_rng(3)
    probabilities, gold = simulated(300)
    times = np.repeat(rng.permutation([1, 3]), 150)
    weighted = tune_decision(probabilities, gold, kind="multi_label", labels="xy", weights=times)
    repeated = (np.repeat(values, times, axis=0) for values in (probabilities, gold))
    written_out = tune_decision(*repeated, kind="multi_label", labels="xy")
    np.testing.assert_allclose(weighted.thresholds, written_out.thresholds, atol=0.02)
    with pytest.raises(DataError, match="300 calibration rows"):
        tune_decision(probabilities, gold, kind="multi_label", labels="xy", weights=np.ones(2))


@given(ROWS, st.booleans())
def test_every_row_gets_what_reaches_its_threshold_and_at_least_one(probabilities, at_least_one):
    decision = Decision("multi_label", ("x", "y", "z"), (0.2, 0.5, 0.8), at_least_one=at_least_one)
    decided = decision.decide(probabilities)
    reached = probabilities / np.array([0.2, 0.5, 0.8]) >= 1
    assert (decided >= reached).all()
    assert (decided.sum(axis=1) >= at_least_one).all()
    assert (decided == reached)[reached.any(axis=1)].all()


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
@given(ROWS, st.floats(0, 1))
def test_rows_with_an_unsure_answer_need_review(kind, probabilities, below):
    thresholds = (0.5,) * 3 if kind == "multi_label" else ()
    decision = Decision(kind, ("x", "y", "z"), thresholds, at_least_one=False, review_below=below)
    decided = decision.apply(probabilities)
    if kind == "multi_class":
        expected = probabilities.max(axis=1) < below
    else:
        expected = (np.maximum(probabilities, 1 - probabilities) < below).any(axis=1)
    assert decided.needs_review.tolist() == expected.tolist()


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
def test_accepted_rows_are_as_right_as_asked_for(kind):
    rng = np.random.default_rng(0)

    def fold():
        logits = rng.normal(0, 3, (6000, 3))
        if kind == "multi_label":
            probabilities = 1 / (1 + np.exp(-logits))
            return probabilities, rng.random(logits.shape) < probabilities
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return probabilities, np.eye(3, dtype=bool)[(logits + rng.gumbel(size=logits.shape)).argmax(axis=1)]

    (tuned, gold), (new, truth) = fold(), fold()
    shares = []
    for accuracy in (0.9 if kind == "multi_label" else 0.95, 0.97):
        decision = tune_decision(
            tuned, gold, kind=kind, labels="abc", review_accuracy=accuracy, most_reviewed=1.0
        )
        decided = decision.apply(new)
        accepted = ~decided.needs_review
        right = (decided.labels == truth).all(axis=1)
        assert right[accepted].mean() == pytest.approx(accuracy, abs=0.015)
        assert right[~accepted].mean() < right[accepted].mean()
        shares.append(decided.needs_review.mean())
    assert shares[0] < shares[1]
    capped = tune_decision(tuned, gold, kind=kind, labels="abc", review_accuracy=1.0, most_reviewed=0.2)
    assert capped.apply(new).needs_review.mean() == pytest.approx(0.2, abs=0.03)
    lax = tune_decision(tuned, gold, kind=kind, labels="abc", review_accuracy=0.0)
    # A less probable answer is not taken for sure, unless most answers are no more probable.
    assert lax.review_below == (0 if kind == "multi_label" else 0.75)
    unsure = tune_decision(
        tuned / 3 + 1 / 3, gold, kind=kind, labels="abc", review_accuracy=0.0, most_reviewed=0
    )
    assert unsure.review_below == 0
    assert not unsure.apply(new).needs_review.any()


def test_at_least_one_follows_the_calibration_rows():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    full = np.array([[1, 0], [0, 1]], dtype=bool)
    some = np.array([[1, 0], [0, 0]], dtype=bool)
    assert tune_decision(probabilities, full, kind="multi_label", labels="ab").at_least_one
    assert not tune_decision(probabilities, some, kind="multi_label", labels="ab").at_least_one


def test_a_row_below_all_thresholds_gets_the_nearest_label():
    decision = Decision("multi_label", ("x", "y"), (0.8, 0.2), at_least_one=True)
    probabilities = np.array([[0.5, 0.19], [0.9, 0.3], [0.8, 0.0]])
    assert decision.decide(probabilities).tolist() == [[False, True], [True, True], [True, False]]
    lax = Decision("multi_label", ("x", "y"), (0.8, 0.2), at_least_one=False)
    assert lax.decide(probabilities)[0].tolist() == [False, False]


def test_multi_class_takes_the_most_probable_label():
    decision = tune_decision(np.eye(3), np.eye(3, dtype=bool), kind="multi_class", labels="abc")
    decided = decision.decide(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]))
    assert decided.tolist() == [[False, True, False], [True, False, False]]
    with pytest.raises(DataError, match="exactly one class"):
        tune_decision(np.eye(3), np.ones((3, 3), dtype=bool), kind="multi_class", labels="abc")


def test_saved_and_loaded_decisions_are_equal(tmp_path):
    decision = Decision(
        "multi_label",
        ("x", "y"),
        (0.123456789, 0.7),
        at_least_one=False,
        calibration=Calibration((0.9, 1.1), (-0.1, 0.123456789)),
        review_below=0.75,
    )
    decision.save(tmp_path)
    assert Decision.load(tmp_path) == decision
    assert Decision.load(tmp_path, ["x", "y"]) == decision


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"thresholds": [0.5]}, "thresholds"),
        ({"thresholds": [0.5, 1.5]}, "between 0 and 1"),
        ({"thresholds": [0.5, "high"]}, "high"),
        ({"thresholds": [0.5, float("nan")]}, "between 0 and 1"),
        ({"kind": "regression"}, "regression"),
        ({"calibration": {"slopes": [1, 0], "biases": [0, 0]}}, "slopes"),
        ({"calibration": {"slopes": [1], "biases": [0]}}, "slopes"),
        ({"calibration": {"slopes": [1, 1], "biases": [0]}}, "biases"),
        ({"calibration": {"slopes": [1, 1]}}, "biases"),
        ({"calibration": "platt"}, "decision.json"),
        ({"review_below": 2}, "review_below"),
        ({"labels": ["y", "x"]}, "labels"),
        ({"labels": None}, "decision.json"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path, change, named):
    Decision("multi_label", ("x", "y"), (0.5, 0.7)).save(tmp_path)
    path = tmp_path / "decision.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=named) as caught:
        Decision.load(tmp_path, ["x", "y"])
    assert "decision.json" in str(caught.value)


def test_a_missing_field_or_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"decision\.json"):
        Decision.load(tmp_path)
    (tmp_path / "decision.json").write_text('{"kind": "multi_class", "calibration": null}')
    with pytest.raises(DataError, match="labels"):
        Decision.load(tmp_path)
    (tmp_path / "decision.json").write_text("[]")
    with pytest.raises(DataError, match=r"decision\.json"):
        Decision.load(tmp_path)


def test_probabilities_that_do_not_fit_are_refused():
    decision = Decision("multi_class", ("x", "y"))
    with pytest.raises(DataError, match="2 labels"):
        decision.decide(np.ones((3, 3)))
    with pytest.raises(DataError, match="not a number"):
        decision.decide(np.full((3, 2), np.nan))
