"""Forecasts interval widths for a number of hand labels, and the labels needed for a width."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trialtune.estimation.intervals import Array, score_interval
from trialtune.estimation.population import Cells
from trialtune.estimation.sampling import Design
from trialtune.estimation.shares import estimate_shares
from trialtune.estimation.tally import Gold, Tally, Truths

MOST = 10_000  # hand labels: a practical upper limit
_DRAWN = 40_000  # gold rows in all simulated draws of a size: fewer draws of large samples, which vary less
_LEAST_DRAWS, _MOST_DRAWS = 10, 100
_TINY = 1e-9  # a width that is 0 but for rounding
_FEWEST, _GROWTH = 50, 2.0  # the sample sizes tried; widths between them follow a power law


@dataclass(frozen=True)
class Forecast:
    """Simulated draws: rows of the population, drawn and labelled by the classifier's probabilities.

    `predicted` and `stated` are booleans and probabilities [rows, classes]; `tally` counts the groups of
    `cells`. Each row's classes hold with their predicted probabilities: a forecast is as good as these are.
    """

    predicted: Truths
    stated: NDArray[np.float32]
    design: Design
    cells: Cells
    tally: Tally
    measured: bool  # whether there are probabilities, which PPI++ needs

    def half_widths(self, rows: int, tail: float, *, min_gold: int = 2) -> tuple[Array, Array]:
        """Half the mean width of intervals [groups, classes], and gold rows [groups], for a number of `rows`.

        NaN for a group that gets too few gold rows in most draws.
        """
        random = np.random.default_rng(0)
        widths, gold_rows = [], []
        for seed in range(min(max(_DRAWN // rows, _LEAST_DRAWS), _MOST_DRAWS)):
            places, chances = self.design.draw(rows, seed)
            stated = self.stated[places]
            holds = random.random(stated.shape) < stated
            gold = Gold(holds, self.predicted[places], stated if self.measured else None, 1 / chances)
            drawn = replace(self.tally, sampled=self.cells.members(places))
            found = estimate_shares(drawn, gold, min_gold=min_gold)
            low, high = found.bounds(tail)
            widths.append((high - low) / 2)
            gold_rows.append(found.gold)
        often = np.isfinite(widths).mean(axis=0) > 0.5
        with np.errstate(invalid="ignore"):
            mean = np.nansum(widths, axis=0) / np.isfinite(widths).sum(axis=0)
        return np.where(often, mean, np.nan), np.mean(gold_rows, axis=0)

    def rows_for(self, precision: float, tail: float, wanted: Truths) -> tuple[Array, int]:
        """The fewest hand labels whose mean half width is at most `precision` [groups, classes].

        Sizes are tried until the shares in `wanted` [groups, classes] reach it, up to 10,000; infinite where
        it is not reached. Returns the largest size tried, too.
        """
        total = min(int(self.design.sizes.sum()), MOST)
        tried: list[int] = []
        widths: list[Array] = []
        rows = min(_FEWEST, total)
        while True:
            tried.append(rows)
            found, _ = self.half_widths(rows, tail)
            widths.append(np.nan_to_num(found, nan=np.inf))
            if rows == total or (widths[-1][wanted] <= precision).all():
                break
            rows = min(int(rows * _GROWTH), total)
        return _reached(np.array(tried, dtype=float), np.minimum.accumulate(widths), precision), rows


def rows_by_hand(share: Array, part: Array, precision: float, tail: float, total: int) -> Array:
    """The fewest hand labels with which Wilson's interval of `share` is narrow enough.

    `part` is a group's share of the `total` rows.
    """
    tried = np.unique(np.geomspace(min(_FEWEST, total), total, 200).round())
    widths = []
    for rows in tried:
        left = 1 - rows / total
        known = np.full_like(part, np.inf) if left <= 0 else rows * part / left
        low, high = score_interval(share, known, tail=tail)
        widths.append((high - low) / 2)
    return _reached(tried, np.minimum.accumulate(widths), precision)


def _reached(tried: Array, widths: Array, precision: float) -> Array:
    """The rows [...] at which widths [tried, ...] fall to `precision`; infinite where they never do."""
    enough = widths <= precision
    first = enough.argmax(axis=0)
    before = np.maximum(first - 1, 0)
    wide, narrow = (np.take_along_axis(widths, place[None], axis=0)[0] for place in (before, first))
    with np.errstate(divide="ignore", invalid="ignore"):
        way = np.log(wide / precision) / np.log(wide / narrow)
    way = np.where((first > 0) & np.isfinite(way), np.clip(way, 0, 1), 1.0)
    found = np.exp(np.log(tried[before]) * (1 - way) + np.log(tried[first]) * way)
    # With all rows labelled nothing is left to a power law: the variance goes with 1 / rows - 1 / all.
    left = (1 / tried[before] - 1 / tried[first]) * (precision / wide) ** 2
    found = np.where((first > 0) & (narrow < _TINY), 1 / (1 / tried[first] + left), found)
    return np.where(enough.any(axis=0), np.ceil(found - 1e-6), np.inf)
