"""Estimates as the lines of a result: shares of each group, differences between groups, yearly changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trialtune.errors import UsageError
from trialtune.estimation.contrasts import differences, ratios, yearly_change
from trialtune.estimation.intervals import Array, tail_of
from trialtune.estimation.population import Cells
from trialtune.estimation.result import Difference, Share, Trend
from trialtune.estimation.settings import EstimateSettings
from trialtune.estimation.shares import METHODS, NONE, Shares, estimate_shares
from trialtune.estimation.tally import Gold, Tally
from trialtune.evaluation.randomization import holm
from trialtune.settings import nearest

_FEWEST_YEARS = 3


@dataclass(frozen=True)
class Estimator:
    """Turns counts into shares of `classes`, and these into lines, by gold rows and settings.

    `noise` is the share of the known labels that may be wrong. `from_known`: the gold rows are known labels,
    which the classifier may have been trained on, so predictions cannot be used.
    """

    gold: Gold
    classes: Sequence[str]
    settings: EstimateSettings
    noise: float
    from_known: bool

    def shares(self, tally: Tally) -> Shares:
        """The shares of counted groups."""
        method = "hand" if self.from_known else self.settings.method
        fewest = self.settings.min_gold
        found = estimate_shares(tally, self.gold, method=method, min_gold=fewest, noise=self.noise)
        return found.noisy(self.noise) if self.from_known else found

    @property
    def tail(self) -> float:
        """The tail probability beyond each bound."""
        return tail_of(self.settings.level, self.settings.alternative)


@dataclass(frozen=True)
class Grouped:
    """The groups of one name, counted and estimated."""

    name: str
    cells: Cells
    tally: Tally
    shares: Shares

    @classmethod
    def of(cls, name: str, cells: Cells, tally: Tally, estimator: Estimator) -> "Grouped":
        """Estimate the counted groups."""
        return cls(name, cells, tally, estimator.shares(tally))

    @property
    def rows(self) -> Array:
        """Trials of each group."""
        return self.tally.rows + self.tally.known_rows


def share_lines(grouped: Grouped, estimator: Estimator) -> list[Share]:
    """A line for each class and non-empty group."""
    shares, tally, settings = grouped.shares, grouped.tally, estimator.settings
    estimate, (low, high) = shares.estimate, shares.bounds(estimator.tail)
    if settings.alternative == "larger":
        high = np.where(np.isnan(high), high, 1.0)
    if settings.alternative == "smaller":
        low = np.where(np.isnan(low), low, 0.0)
    return [
        Share(
            group=grouped.name,
            value=value,
            label=label,
            trials=int(grouped.rows[row]),
            predicted=int(tally.predicted[row, column]),
            known=int(tally.known_rows[row]),
            gold=int(shares.gold[row]),
            gold_with=int(shares.gold_with[row, column]),
            share=_finite(estimate[row, column]),
            low=_finite(low[row, column]),
            high=_finite(high[row, column]),
            method=METHODS[shares.methods[row, column]],
            more=max(settings.min_gold - int(shares.gold[row]), 0)
            if shares.methods[row, column] == NONE
            else 0,
        )
        for row, value in enumerate(grouped.cells.names)
        if grouped.rows[row]
        for column, label in enumerate(estimator.classes)
    ]


def difference_lines(
    grouped: Grouped, whole: Grouped, reference: str | None, estimator: Estimator
) -> list[Difference]:
    """A line for each class and group that has a share: against the group `reference`, or all other trials.

    Raises UsageError when there is no such group, or when groups overlap.
    """
    names = grouped.cells.names
    if reference is not None and reference not in names:
        raise UsageError(
            f"--compare {grouped.name}={reference}: no trial has this value{nearest(reference, names)}"
        )
    chosen = np.array([place for place, value in enumerate(names) if value != reference], dtype=np.int64)
    groups = grouped.tally.at(chosen)
    if reference is None:
        others = whole.tally.at(np.zeros(len(chosen), dtype=np.int64)).minus(groups)
    else:
        others = grouped.tally.at(np.full(len(chosen), names.index(reference)))
        if (groups.sampled & others.sampled).any():
            raise UsageError(
                f"--compare {grouped.name}={reference}: a trial may have several values of {grouped.name};"
                f" compare each with all others: --compare {grouped.name}"
            )
    mine, theirs = estimator.shares(groups), estimator.shares(others)
    contrast = differences(mine, theirs)
    p = contrast.p_values()
    low, high = contrast.bounds(estimator.tail)
    ratio, ratio_low, ratio_high = ratios(mine, theirs, estimator.tail)
    corrected = [holm(row) for row in p]
    return [
        Difference(
            group=grouped.name,
            value=names[place],
            reference=reference,
            label=label,
            difference=float(contrast.estimate[row, column]),
            low=float(low[row, column]),
            high=float(high[row, column]),
            ratio=_finite(ratio[row, column]),
            ratio_low=_finite(ratio_low[row, column]),
            ratio_high=_finite(ratio_high[row, column]),
            p=float(p[row, column]),
            p_holm=float(corrected[row][column]),
        )
        for row, place in enumerate(chosen)
        for column, label in enumerate(estimator.classes)
        if np.isfinite(contrast.estimate[row, column])
    ]


def trend_lines(grouped: Grouped, estimator: Estimator) -> list[Trend]:
    """A line for each class, where the groups are years and at least three of them have shares."""
    years = [(place, int(value)) for place, value in enumerate(grouped.cells.names) if _is_year(value)]
    there = [(place, year) for place, year in years if (grouped.shares.methods[place] != NONE).all()]
    if len(there) < _FEWEST_YEARS:
        return []
    places, numbers = np.array(there).T
    rows = grouped.rows[places]
    contrast = yearly_change(grouped.shares.at(places), numbers.astype(float), rows)
    [p] = contrast.p_values()
    [low], [high] = contrast.bounds(estimator.tail)
    return [
        Trend(
            group=grouped.name,
            first=int(numbers.min()),
            last=int(numbers.max()),
            years=len(numbers),
            label=label,
            per_year=float(contrast.estimate[0, column]),
            low=float(low[column]),
            high=float(high[column]),
            p=float(p[column]),
            p_holm=float(corrected),
        )
        for column, (label, corrected) in enumerate(zip(estimator.classes, holm(p), strict=True))
    ]


def _is_year(value: str) -> bool:
    return len(value) == 4 and value.isdigit()


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
