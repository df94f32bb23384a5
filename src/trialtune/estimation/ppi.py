"""Prediction-powered shares: Angelopoulos, Duchi and Zrnic, PPI++, 2023 (arXiv:2311.01453)."""

from dataclasses import dataclass

import numpy as np

from trialtune.estimation.intervals import Array
from trialtune.estimation.tally import Gold, Tally


@dataclass(frozen=True)
class Powered:
    """Prediction-powered shares [groups, classes], their standard errors, and the power tuning parameter."""

    share: Array
    error: Array
    power: Array

    @property
    def n(self) -> Array:
        """The size of a simple random sample whose share would have that standard error."""
        inside = np.clip(self.share, 1e-9, 1 - 1e-9)
        with np.errstate(divide="ignore"):
            return np.where(self.error > 0, inside * (1 - inside) / self.error**2, np.inf)


def power_tuned(tally: Tally, gold: Gold) -> Powered:
    """The mean of power x probability over rows without hand labels, corrected by the gold rows' residuals.

    Without weights these are share, standard error and power of `ppi_mean_ci` of ppi-python 0.2.3, one class
    at a time. With weights the variance is that of weight x (residual - mean residual): a class and its
    complement then have intervals of the same width, unlike in ppi-python.
    """
    assert gold.stated is not None and tally.stated is not None and tally.squared is not None
    groups = tally.sampled.astype(float)
    holds, stated = gold.holds.astype(float), gold.stated.astype(float)
    labelled = groups.sum(axis=1)[:, None]
    rest = np.maximum(tally.rows[:, None] - labelled, 1)
    rest_sum, rest_square = tally.stated - groups @ stated, tally.squared - groups @ stated**2
    rest_mean = rest_sum / rest

    once = groups * gold.weights
    total = np.maximum(once.sum(axis=1)[:, None], 1e-12)
    mean_y, mean_f = once @ holds / total, once @ stated / total
    covariance = once @ (holds * stated) / total - mean_y * mean_f
    gold_square = once @ stated**2 / total
    power = _power(covariance, (gold_square, mean_f), (rest_square / rest, rest_mean), labelled, rest)

    share = power * rest_mean + mean_y - power * mean_f
    twice = groups * gold.weights**2
    residual = mean_y - power * mean_f
    # The sum of weight^2 x (y - power f - residual)^2, written out, so that it is sums over gold rows alone.
    spread = (
        twice @ holds * (1 - 2 * residual)
        - 2 * power * (twice @ (holds * stated))
        + power**2 * (twice @ stated**2)
        + 2 * power * residual * (twice @ stated)
        + residual**2 * twice.sum(axis=1)[:, None]
    )
    error = np.sqrt(
        np.maximum(spread, 0) / total**2 + power**2 * _variance(rest_square / rest, rest_mean) / rest
    )
    return Powered(share, error, power)


def _power(
    covariance: Array, gold: tuple[Array, Array], rest: tuple[Array, Array], labelled: Array, others: Array
) -> Array:
    """Equation 5 of the paper, within 0 and 1, from mean squares and means of the probabilities."""
    rows = labelled + others
    square, mean = ((labelled * gold[place] + others * rest[place]) / rows for place in (0, 1))
    variance = _variance(square, mean) * rows / (rows - 1)
    needed = (1 + labelled / others) * variance
    power = np.divide(covariance, needed, out=np.zeros_like(covariance), where=variance > 1e-15)
    return np.clip(power, 0, 1)


def _variance(mean_square: Array, mean: Array) -> Array:
    return np.maximum(mean_square - mean**2, 0)
