"""Differences and ratios between groups, and changes over the years, of estimated shares."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trialtune.estimation.intervals import Array, combined
from trialtune.estimation.shares import Shares

_STEPS = 40  # bisection steps: p-values to twelve digits
_LEAST = 1e-12  # smaller p-values are reported as this

Tail = float | Array
Bounds = Callable[[Tail], tuple[Array, Array]]


@dataclass(frozen=True)
class Contrast:
    """A contrast that is 0 for equal groups [groups, classes], with its bounds at any level."""

    estimate: Array
    bounds: Bounds

    def p_values(self) -> Array:
        """Two-sided p-values: the level at which the interval just reaches 0; NaN where there is none."""
        least, most = np.full(self.estimate.shape, _LEAST), np.ones(self.estimate.shape)
        low, high = np.log(least), np.log(most)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            lower, upper = self.bounds(np.exp(middle) / 2)
            apart = (lower > 0) | (upper < 0)
            low, high = np.where(apart, low, middle), np.where(apart, middle, high)
        found = np.exp((low + high) / 2)
        return np.where(np.isnan(self.estimate), np.nan, np.minimum(found, 1))


def differences(groups: Shares, others: Shares) -> Contrast:
    """Shares of groups minus those of other groups without rows in common."""
    estimate = groups.estimate - others.estimate

    def bounds(tail: Tail) -> tuple[Array, Array]:
        pairs = zip(groups.bounds(tail), others.bounds(tail), strict=True)
        low, high = (np.stack(pair) for pair in pairs)
        shares = np.stack([groups.estimate, others.estimate])
        weights = np.array([1.0, -1.0])[:, None, None]
        _, lower, upper = combined(np.broadcast_to(weights, shares.shape), shares, low, high)
        return lower, upper

    return Contrast(estimate, bounds)


def ratios(groups: Shares, others: Shares, tail: float) -> tuple[Array, Array, Array]:
    """Ratios of shares between groups, with bounds: MOVER for logarithms (Zou and Donner, 2008).

    Where either share is 0, and has no logarithm, the bounds are those of the quotient of the
    shares' own bounds. The ratio to a share of 0 is NaN, its upper bound infinite.
    """
    above, below = groups.estimate, others.estimate
    (above_low, above_high), (below_low, below_high) = groups.bounds(tail), others.bounds(tail)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(below > 0, above / below, np.nan)
        down = np.hypot(np.log(above / above_low), np.log(below_high / below))
        up = np.hypot(np.log(above_high / above), np.log(below / below_low))
        inside = (above > 0) & (below > 0)
        low = np.where(inside, ratio * np.exp(-down), above_low / below_high)
        high = np.where(inside, ratio * np.exp(up), above_high / below_low)
    return ratio, low, high


def yearly_change(shares: Shares, years: Array, rows: Array) -> Contrast:
    """The slope of the shares over `years` [groups], weighted by their rows: change per year [1, classes].

    A least-squares line through the shares; its bounds follow from those of each year's share.
    """
    centred = years - np.average(years, weights=rows)
    slope = rows * centred / (rows * centred**2).sum()
    weights = np.broadcast_to(slope[:, None], shares.estimate.shape)
    estimate = (weights * shares.estimate).sum(axis=0)[None]

    def bounds(tail: Tail) -> tuple[Array, Array]:
        low, high = shares.bounds(tail)
        _, lower, upper = combined(weights, shares.estimate, low, high)
        return lower[None], upper[None]

    return Contrast(estimate, bounds)
