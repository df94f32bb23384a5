"""Confidence intervals of a share from a few hundred rows, and of sums of such shares."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, gammaincinv, ndtri

from trialtune.estimation.settings import Alternative

Array = NDArray[np.float64]
#: With fewer events, the score interval's inner bound is too close (see `score_interval`).
_FEW = 3.0


def tail_of(level: float, alternative: Alternative) -> float:
    """The tail probability beyond each finite bound."""
    return (1 - level) / (2 if alternative == "two-sided" else 1)


def score_interval(share: Array, n: Array, *, tail: float | Array) -> tuple[Array, Array]:
    """Wilson's score interval (1927), modified for few events; `tail` is the probability beyond each bound.

    `n` may be an effective sample size: fractional, or infinite where the share is known. With fewer
    than three events, or three short of all, the bound towards 0 or 1 is that of the Poisson distribution,
    as Brown, Cai and DasGupta propose (2001, Statistical Science 16(2), section 4.1.3), since Wilson's own
    covers too little there. Without rows it is 0 to 1.
    """
    share, n = np.broadcast_arrays(np.asarray(share, dtype=float), np.asarray(n, dtype=float))
    z = -ndtri(tail)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = z * z / n  # 0 for an infinite n
        middle = (share + spread / 2) / (1 + spread)
        half = z / (1 + spread) * np.sqrt(share * (1 - share) / n + spread / (4 * n))
        hits, misses = share * n, (1 - share) * n
    low, high = np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
    low, high = np.minimum(low, share), np.maximum(high, share)
    low = np.where(hits < _FEW, np.minimum(low, _poisson_low(hits, n, tail)), low)
    high = np.where(misses < _FEW, np.maximum(high, 1 - _poisson_low(misses, n, tail)), high)
    return _at_the_ends(low, high, share, n)


def exact_interval(share: Array, n: Array, *, tail: float | Array) -> tuple[Array, Array]:
    """Clopper and Pearson's interval (1934), of an effective `n` that of Korn and Graubard (1998).

    Its coverage is at least nominal, whatever the share. Without rows it is 0 to 1.
    """
    share, n = np.broadcast_arrays(np.asarray(share, dtype=float), np.asarray(n, dtype=float))
    with np.errstate(invalid="ignore"):
        hits = share * n
        low = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-12), n - hits + 1, tail), 0.0)
        high = np.where(hits < n, betaincinv(hits + 1, np.maximum(n - hits, 1e-12), 1 - tail), 1.0)
    return _at_the_ends(low, high, share, n)


def combined(weights: Array, shares: Array, lows: Array, highs: Array) -> tuple[Array, Array, Array]:
    """The sum of weighted, independent shares [parts, ...] with its bounds, each [...]: MOVER.

    Each bound's distance from the sum is the root of the squared, weighted distances of the parts' own
    bounds (Donner and Zou, 2012, Statistical Methods in Medical Research 21(4), 347-359), so that a part
    at 0 or 1 adds nothing on that side. Weights may be negative: a difference.
    """
    total = (weights * shares).sum(axis=0)
    down = np.where(weights > 0, shares - lows, highs - shares)
    up = np.where(weights > 0, highs - shares, shares - lows)
    low = total - np.sqrt((weights**2 * down**2).sum(axis=0))
    high = total + np.sqrt((weights**2 * up**2).sum(axis=0))
    return total, low, high


def _at_the_ends(low: Array, high: Array, share: Array, n: Array) -> tuple[Array, Array]:
    """Bounds of a known share, which equal it, and of one without rows, which are 0 and 1."""
    known, empty = np.isinf(n), n == 0
    low, high = np.where(known, share, low), np.where(known, share, high)
    return np.where(empty, 0.0, low), np.where(empty, 1.0, high)


def _poisson_low(events: Array, n: Array, tail: float | Array) -> Array:
    """The least share whose Poisson count reaches `events` with probability 2 x `tail`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(events > 0, gammaincinv(np.maximum(events, 1e-12), 2 * tail), 0.0)
        return np.where(n > 0, least / n, 0.0)
