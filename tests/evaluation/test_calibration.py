"""Calibration mends what is over- or underconfident and leaves the rest alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, logit, softmax

from trialtune.errors import DataError
from trialtune.evaluation.calibration import effective_weights, fit_calibration
from trialtune.evaluation.decision import Calibration
from trialtune.evaluation.metrics import expected_calibration_error


def fold(kind, rows=4000, seed=0):
    """True probabilities and gold drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, (rows, 3))
    if kind == "multi_label":
        return expit(logits), rng.random(logits.shape) < expit(logits)
    best = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return softmax(logits, axis=1), np.eye(3, dtype=bool)[best]


def sharpen(probabilities, kind, power):
    """As a classifier `power` times too sure would say it."""
    if kind == "multi_label":
        return expit(power * logit(probabilities))
    return softmax(power * np.log(probabilities), axis=1)


def log_loss(probabilities, gold):
    return -np.log(np.clip(np.where(gold, probabilities, 1 - probabilities), 1e-9, 1)).mean()


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.5])
def test_undoes_too_much_and_too_little_confidence(kind, power):
    true, gold = fold(kind)
    fitted = fit_calibration(sharpen(true, kind, power), gold, kind=kind)
    assert fitted.slopes == pytest.approx([1 / power] * 3, rel=0.12)
    assert fitted.biases == pytest.approx([0] * 3, abs=0.15)
    true, gold = fold(kind, seed=1)
    stated = sharpen(true, kind, power)
    mended = fitted(stated, kind=kind)
    assert expected_calibration_error(mended, gold, kind=kind) < 0.03
    assert log_loss(mended, gold) < log_loss(stated, gold) + 1e-3


def test_a_rare_label_leans_on_the_others():
    true, gold = fold("multi_label")
    stated = sharpen(true, "multi_label", 2.0)
    rare = gold[:, 2] & (np.cumsum(gold[:, 2]) <= 4)  # four positives and a few rows tell nearly nothing
    told = np.flatnonzero(rare)[-1] + 1
    fitted = [
        fit_calibration(
            np.column_stack([stated[:, :2], column]),
            np.column_stack([gold[:, :2], truth]),
            kind="multi_label",
        )
        for column, truth in (
            (stated[:, 2], gold[:, 2]),
            (np.where(np.arange(len(gold)) < told, true[:, 2], 1e-6), rare),
        )
    ]
    assert fitted[0].slopes == pytest.approx([0.5] * 3, abs=0.06)
    assert 0.5 < fitted[1].slopes[2] < 0.9  # its own would be 1


def test_weights_give_the_classes_their_true_shares():
    true, gold = fold("multi_class", rows=8000)
    doubled = np.flatnonzero(gold[:, 0])
    drawn = np.concatenate([np.arange(len(gold)), doubled])  # class 0 drawn twice as often as it occurs
    weights = np.where(gold[drawn, 0], 0.5, 1.0)
    plain = fit_calibration(true[drawn], gold[drawn], kind="multi_class")
    weighted = fit_calibration(true[drawn], gold[drawn], kind="multi_class", weights=weights)
    assert plain.biases[0] > max(plain.biases[1:]) + 0.4
    assert weighted.biases == pytest.approx([0] * 3, abs=0.1)


@given(hnp.arrays(np.float32, (6, 3), elements=st.floats(0, 1, width=32)))
def test_stays_a_probability_and_keeps_the_order(probabilities):
    calibration = Calibration((0.5, 1.0, 3.0), (-2.0, 0.0, 1.0))
    calibrated = calibration(probabilities, kind="multi_label")
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    for before, after in zip(probabilities.T, calibrated.T, strict=True):
        assert (np.diff(after[np.argsort(before)]) >= 0).all()
    shared = Calibration((1.0,) * 3, (0.3, 0.0, -1.0))(probabilities, kind="multi_class")
    np.testing.assert_allclose(shared.sum(axis=1), 1)


def test_weights_shrink_to_the_effective_number_of_rows():
    assert effective_weights(None, 3).tolist() == [1, 1, 1]
    assert effective_weights(np.full(4, 7.0), 4).sum() == pytest.approx(4)
    assert effective_weights(np.array([1.0, 0, 0]), 3).sum() == pytest.approx(1)
    for wrong in ([-1.0, 1.0], [0.0, 0.0], [1.0]):
        with pytest.raises(DataError, match="weights"):
            effective_weights(np.array(wrong), 2)
