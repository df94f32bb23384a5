"""Evenly drawn classes get their true shares back."""

import numpy as np
import pytest

from trialtune.evaluation.prior_shift import log_prior_shift, shift_priors


def test_shifted_probabilities_follow_the_true_shares() -> None:
    gold = np.repeat(np.eye(2, dtype=bool), 500, axis=0)
    shift = log_prior_shift(gold, np.repeat([9.0, 1.0], 500))
    shifted = shift_priors(np.array([[0.5, 0.5]]), shift)
    assert shifted == pytest.approx(np.array([[0.9, 0.1]]), abs=0.001)


def test_a_class_without_rows_and_rows_of_one_weight_change_nothing() -> None:
    gold = np.eye(3, dtype=bool)[[0, 0, 1]]
    assert log_prior_shift(gold, np.ones(3)) == pytest.approx(np.zeros(3))
