"""Shares of classes in groups of rows, from predictions for all rows and hand labels of a few.

Each share is a weighted sum of parts estimated separately. Post-stratified, the parts are the rows with
the predicted label and those without: their numbers are known, and how often the label truly
holds among them is estimated from the gold rows in each. Rows whose true labels are known are a
part without a sampling error.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trialtune.estimation.intervals import Array, combined, exact_interval, score_interval
from trialtune.estimation.ppi import power_tuned
from trialtune.estimation.settings import Method
from trialtune.estimation.tally import Gold, Tally

HAND, EXACT, STRATIFIED, PPI, KNOWN, NONE = range(6)
METHODS = ("hand", "exact", "stratified", "ppi", "known", "none")
_FEW = 3  # events, or rows without: the variance of fewer is unreliable
_MISREAD = 20  # misclassified gold rows needed for residuals to be nearly normal
_TINY = 1e-12


@dataclass(frozen=True)
class Shares:
    """Shares [groups, classes], as parts [parts, groups, classes]: `weights`, `parts`, effective rows `n`.

    `methods` [groups, classes] are indices into METHODS, `gold` [groups] and `gold_with` [groups, classes]
    count gold rows. By `noise` [groups, classes] wrong labels may move a share beyond its sampling error.
    """

    weights: Array
    parts: Array
    n: Array
    methods: NDArray[np.int64]
    gold: Array
    gold_with: Array
    noise: Array

    @property
    def estimate(self) -> Array:
        """The shares; NaN where there is none."""
        total: Array = (self.weights * self.parts).sum(axis=0)
        return np.where(self.methods == NONE, np.nan, total)

    def bounds(self, tail: float | Array) -> tuple[Array, Array]:
        """Lower and upper bounds, with the probability `tail` beyond each; NaN where there is no share."""
        low, high = score_interval(self.parts, self.n, tail=tail)
        if (of_exact := self.methods == EXACT).any():  # which takes far longer, and is rarely used
            exact = exact_interval(self.parts, self.n, tail=tail)
            low, high = (np.where(of_exact, e, s) for e, s in zip(exact, (low, high), strict=True))
        _, low, high = combined(self.weights, self.parts, low, high)
        low, high = low - self.noise, high + self.noise
        none = self.methods == NONE
        return np.where(none, np.nan, np.clip(low, 0, 1)), np.where(none, np.nan, np.clip(high, 0, 1))

    def noisy(self, noise: float) -> Self:
        """The same from gold labels of which `noise` may be wrong."""
        return replace(self, noise=noise * np.nan_to_num(self.estimate))

    def at(self, places: NDArray[np.int64]) -> Self:
        """The groups at the given indices."""
        return replace(
            self,
            weights=self.weights[:, places],
            parts=self.parts[:, places],
            n=self.n[:, places],
            methods=self.methods[places],
            gold=self.gold[places],
            gold_with=self.gold_with[places],
            noise=self.noise[places],
        )


@dataclass(frozen=True)
class _Part:
    """A part of each group, estimated from the gold rows in it: all [groups, classes]."""

    share: Array
    n: Array  # effective rows
    rows: Array  # gold rows


def estimate_shares(
    tally: Tally, gold: Gold, *, method: Method = "auto", min_gold: int = 10, noise: float = 0.0
) -> Shares:
    """Estimate shares by `method`; a group with fewer than `min_gold` gold rows has none.

    `noise` is the share of the known labels that may be wrong, possibly all in one direction.

    With "auto" a class is post-stratified; by PPI++ where at least 20 gold rows are misclassified, so
    that its normal approximation holds, and there are probabilities; by hand labels only where no gold
    row of the group has, or none lacks, the predicted class, so that predictions are uninformative. "ppi" is
    used from 3 misclassified gold rows on, and where its share lies between 0 and 1.
    """
    groups, classes = tally.predicted.shape
    sampled = tally.sampled.astype(float)
    everything = _part(sampled, gold, np.ones_like(gold.holds, dtype=float), tally.rows[:, None])
    with_label = _part(sampled, gold, gold.predicted.astype(float), tally.predicted)
    without = _part(sampled, gold, (~gold.predicted).astype(float), tally.rows[:, None] - tally.predicted)
    share_with = _divided(tally.predicted, tally.rows[:, None])
    chosen = _choose(method, tally, gold, with_label, without)
    single = (chosen == HAND) | (chosen == EXACT)
    # Parts: all rows or those with the predicted class; those without; those that are known.
    weights = np.stack([np.where(single, 1.0, share_with), np.where(single, 0.0, 1 - share_with)])
    parts = np.stack([np.where(single, everything.share, with_label.share), without.share])
    n = np.stack([np.where(single, everything.n, with_label.n), without.n])
    if (chosen == PPI).any():
        powered = power_tuned(tally, gold)
        # A share below 0 or above 1 is discarded, with its effective rows.
        of_ppi = (chosen == PPI) & (powered.share > 0) & (powered.share < 1)
        chosen = np.where((chosen == PPI) & ~of_ppi, STRATIFIED, chosen)
        weights = np.where(of_ppi, np.array([1.0, 0.0])[:, None, None], weights)
        parts[0], n[0] = np.where(of_ppi, powered.share, parts[0]), np.where(of_ppi, powered.n, n[0])
    gold_rows = sampled.sum(axis=1)
    asked = tally.rows[:, None] > 0
    chosen = np.where(asked & (gold_rows < min_gold)[:, None], NONE, chosen)
    chosen = np.where(~asked, np.where(tally.known_rows[:, None] > 0, KNOWN, NONE), chosen)
    all_rows = tally.rows + tally.known_rows
    known = np.broadcast_to(_divided(tally.known_rows, all_rows)[:, None], (groups, classes))
    known_share = _divided(tally.known_with, tally.known_rows[:, None])
    return Shares(
        weights=np.concatenate([weights * (1 - known), known[None]]),
        parts=np.concatenate([parts, known_share[None]]),
        n=np.concatenate([n, np.full((1, groups, classes), np.inf)]),
        methods=chosen,
        gold=gold_rows,
        gold_with=sampled @ gold.holds,
        noise=noise * known * known_share,
    )


def _choose(method: Method, tally: Tally, gold: Gold, with_label: _Part, without: _Part) -> NDArray[np.int64]:
    """The method of each group and class, as an index into METHODS."""
    shape = tally.predicted.shape
    if method in ("hand", "exact"):
        return np.full(shape, METHODS.index(method))
    # A part that holds rows but no gold row could be anything.
    blind = (with_label.rows < 1) | (without.rows < 1)
    chosen = np.where(blind, HAND, STRATIFIED)
    if tally.stated is None or gold.stated is None or method == "stratified":
        return chosen
    misread = tally.sampled.astype(float) @ (gold.holds != gold.predicted)
    if method == "ppi":
        return np.where(misread >= _FEW, PPI, chosen)  # the variance of fewer residuals may be 0
    return np.where((chosen == STRATIFIED) & (misread >= _MISREAD), PPI, chosen)


def _part(sampled: Array, gold: Gold, member: Array, population: Array) -> _Part:
    """A part's share and effective rows: `member` [gold rows, classes] marks its gold rows.

    The effective number is that of a simple random sample of equal variance (Kish, 1965; the variance of a
    ratio, linearized, so that it is centred on the share). With fewer than three events, or three rows
    without, that variance is unreliable: the weights' own effective number is used, and no event counts
    for more than one. A finite population correction applies to small parts.
    """
    holds, weights = gold.holds.astype(float), gold.weights
    rows, events = sampled @ member, sampled @ (member * holds)
    once, twice = sampled * weights, sampled * weights**2
    total, total2 = once @ member, twice @ member
    share = _divided(once @ (member * holds), total)
    spread = (twice @ (member * holds)) * (1 - 2 * share) + share**2 * total2
    kish = _divided(total**2, total2)
    n = _divided(share * (1 - share), spread / np.maximum(total, _TINY) ** 2)
    few = (np.minimum(events, rows - events) < _FEW) | (spread <= _TINY)
    bare = np.where(spread > _TINY, np.minimum(n, kish), kish)
    bare = np.where(events > 0, np.minimum(bare, _divided(events, share)), bare)
    bare = np.where(events < rows, np.minimum(bare, _divided(rows - events, 1 - share)), bare)
    n = np.where(rows > 0, np.where(few, bare, n), 0.0)
    left = np.clip(1 - _divided(rows, np.broadcast_to(population, rows.shape)), 0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.where(n > 0, n / left, 0.0)  # infinite where every row was drawn
    return _Part(np.where(rows > 0, share, 0.5), n, rows)


def _divided(above: Array, below: Array) -> Array:
    """The quotient; 0 where there is nothing to divide by."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)
