"""Decisions: thresholds that fit, rare classes that lean on the rest, files that are checked."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from trialtune.errors import DataError
from trialtune.evaluation.thresholds import Decision, best_threshold, tune_decision

PAIRS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 1.0]), st.booleans()), min_size=1, max_size=30
)


@given(PAIRS)
def test_no_other_threshold_has_a_better_f1(pairs):
    probabilities = np.array([pair[0] for pair in pairs])
    gold = np.array([pair[1] for pair in pairs])
    found = best_threshold(probabilities, gold, near=0.5)
    reached = f1_score(gold, probabilities >= found, zero_division=0)
    for other in (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95):
        assert reached >= f1_score(gold, probabilities >= other, zero_division=0) - 1e-9


def simulated(rng, rows, positives_at):
    gold = np.zeros((rows, 2), dtype=bool)
    gold[:, 0] = rng.random(rows) < 0.5
    gold[:positives_at, 1] = True
    centres = np.where(gold, [0.8, 0.3], [0.5, 0.1])
    return np.clip(centres + rng.normal(0, 0.03, gold.shape), 0, 1), gold


def test_a_frequent_class_gets_its_own_threshold_and_a_rare_one_leans_on_all():
    rng = np.random.default_rng(1)
    probabilities, gold = simulated(rng, 2000, 400)
    own = tune_decision(probabilities, gold, kind="multi_label", labels=["x", "y"]).thresholds[1]
    assert 0.12 < own < 0.25
    probabilities, gold = simulated(rng, 2000, 4)
    leaning = tune_decision(probabilities, gold, kind="multi_label", labels=["x", "y"])
    assert leaning.thresholds[1] > own + 0.1
    gold[:, 1] = False
    without = tune_decision(probabilities, gold, kind="multi_label", labels=["x", "y"])
    assert without.thresholds[1] == pytest.approx(
        best_threshold(probabilities.ravel(), gold.ravel(), near=0.5)
    )


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


def test_saved_and_loaded_decisions_are_equal(tmp_path):
    decision = Decision("multi_label", ("x", "y"), (0.123456789, 0.7), at_least_one=False, temperature=1.5)
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
        ({"temperature": 0}, "temperature"),
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
    (tmp_path / "decision.json").write_text('{"kind": "multi_class"}')
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
