"""Metrics agree with scikit-learn and follow the rules for classes without examples."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import classification_report

from trialtune.errors import DataError
from trialtune.evaluation.metrics import (
    ClassMetrics,
    Metrics,
    ReviewMetrics,
    expected_calibration_error,
    reliability,
    review_scores,
    score,
)

LABELS = ["a", "b", "c", "d"]
PLANES = st.integers(2, 30).flatmap(lambda n: st.tuples(hnp.arrays(bool, (n, 4)), hnp.arrays(bool, (n, 4))))


@given(PLANES)
def test_agrees_with_the_classification_report(planes):
    gold, predicted = planes
    gold[:4] |= np.eye(4, dtype=bool)[: len(gold)]
    if len(gold) < 4:
        gold[0] = True  # every class has an example, so that both leave none out
    ours = score(gold, predicted, LABELS, kind="multi_label")
    theirs = classification_report(
        gold.astype(int), predicted.astype(int), target_names=LABELS, output_dict=True, zero_division=0
    )
    for mine, reference in [
        *((ours.per_class[label], theirs[label]) for label in LABELS),
        *((scores, theirs[f"{name} avg"]) for name, scores in ours.averages),
    ]:
        wanted = [reference[key] for key in ("precision", "recall", "f1-score", "support")]
        assert [value for _, value in mine] == pytest.approx(wanted)
    assert ours.macro_f1 == ours.averages.macro.f1


def test_a_class_without_examples_is_null_and_outside_macro():
    gold = np.array([[1, 0, 0], [0, 1, 0]], dtype=bool)
    predicted = np.array([[1, 0, 1], [0, 1, 0]], dtype=bool)
    metrics = score(gold, predicted, ["x", "y", "z"], kind="multi_label")
    assert metrics.per_class["z"] == ClassMetrics(precision=None, recall=None, f1=None, support=0)
    assert metrics.macro_f1 == 1.0
    assert metrics.micro_f1 == pytest.approx(0.8)  # the false z still counts
    assert metrics.accuracy == 0.5
    assert metrics.ece is None
    assert metrics.reliability is None
    told = json.dumps(metrics.model_dump(mode="json"), allow_nan=False)
    assert Metrics.model_validate(json.loads(told)) == metrics


def test_calibration_error_of_known_cases():
    gold = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool)
    sure = gold.astype(float)
    assert expected_calibration_error(sure, gold, kind="multi_class") == 0
    assert expected_calibration_error(1 - sure, gold, kind="multi_class") == 1
    half = np.full((4, 2), 0.5)
    assert expected_calibration_error(half, gold, kind="multi_label") == 0
    lopsided = np.tile([0.9, 0.1], (4, 1))  # says 0.9 and is right half the time
    assert expected_calibration_error(lopsided, gold, kind="multi_class") == pytest.approx(0.4)
    assert expected_calibration_error(lopsided, gold, kind="multi_label") == pytest.approx(0.4)


def test_well_calibrated_probabilities_have_a_small_error():
    rng = np.random.default_rng(0)
    stated = rng.random((20_000, 3))
    true = rng.random(stated.shape) < stated
    assert expected_calibration_error(stated, true, kind="multi_label") < 0.03


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
@given(hnp.arrays(np.float32, (20, 4), elements=st.floats(0, 1, width=32)))
def test_reliability_bins_hold_every_answer_once(kind, probabilities):
    gold = np.eye(4, dtype=bool)[np.arange(20) % 4]
    bins = reliability(probabilities, gold, kind=kind)
    questions = probabilities.size if kind == "multi_label" else len(probabilities)
    assert sum(one.count for one in bins) == questions
    stated = [one.stated for one in bins]
    assert stated == sorted(stated)
    told = sum(one.count * one.observed for one in bins)
    top = gold[np.arange(20), probabilities.argmax(axis=1)]
    assert told == pytest.approx(gold.sum() if kind == "multi_label" else top.sum())
    if kind == "multi_class":  # one question a row, so the error is the bins' mean gap
        gap = sum(one.count * abs(one.stated - one.observed) for one in bins) / questions
        assert gap == pytest.approx(expected_calibration_error(probabilities, gold, kind=kind), abs=1e-6)


def test_review_scores_speak_of_the_accepted_rows():
    gold = np.array([[1, 0], [0, 1], [1, 1], [0, 1]], dtype=bool)
    predicted = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=bool)
    scores = review_scores(gold, predicted, np.array([False, True, False, False]))
    assert scores.share == 0.25
    assert scores.accuracy_accepted == pytest.approx(2 / 3)
    assert scores.micro_f1_accepted == pytest.approx(2 * 3 / 7)
    everything = review_scores(gold, predicted, np.ones(4, dtype=bool))
    assert everything == ReviewMetrics(share=1.0, accuracy_accepted=None, micro_f1_accepted=None)


@pytest.mark.parametrize(
    ("gold", "predicted"),
    [
        (np.ones((3, 4), bool), np.ones((2, 4), bool)),
        (np.ones((3, 3), bool), np.ones((3, 3), bool)),
        (np.ones((0, 4), bool), np.ones((0, 4), bool)),
        (np.zeros((3, 4), bool), np.ones((3, 4), bool)),
    ],
)
def test_unusable_arrays_are_refused(gold, predicted):
    with pytest.raises(DataError):
        score(gold, predicted, LABELS, kind="multi_label")
