"""Stratified sampling for hand labels: strata of equal uncertainty, equal numbers from each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialtune.estimation.intervals import Array

_STRATA = 8
_EVEN = 0.5  # share of the probability spread evenly over all rows: no weight is more than twice the average
_ASSUMED = 0.8  # assumed precision of the rarer answer where there are no probabilities


@dataclass(frozen=True)
class Design:
    """The stratum of each row, counted from 0; the same number of rows is drawn from each."""

    stratum: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def uniform(cls, rows: int) -> "Design":
        """One stratum."""
        return cls(np.zeros(rows, dtype=np.int64), np.array([rows]))

    @classmethod
    def by_doubt(cls, stated: NDArray[np.float32]) -> "Design":
        """Strata of rows of similar uncertainty, from probabilities [rows, classes].

        A row's uncertainty is the root of its classes' variances p (1 - p), each over that of the class's
        share, so that an uncertain row of a rare class counts for more: Neyman's allocation (1934) for many
        shares at once, as in active inference (Zrnic and Candès, 2024, arXiv:2403.03208). Half of it is
        uniform over all rows, so that confident errors of the classifier are found too.
        """
        mean = stated.mean(axis=0, dtype=np.float64)
        scale = 1 / np.maximum(mean * (1 - mean), 1 / len(stated))
        doubt = np.sqrt(np.maximum((stated * (1 - stated)) @ scale, 0))
        average = doubt.mean()
        size = _EVEN + (1 - _EVEN) * doubt / average if average > 0 else np.ones(len(stated))
        order = np.argsort(size, kind="stable")
        reached = np.cumsum(size[order]) / size.sum()
        stratum = np.empty(len(size), dtype=np.int64)
        stratum[order] = np.minimum((reached * _STRATA).astype(np.int64), _STRATA - 1)
        _, stratum = np.unique(stratum, return_inverse=True)  # none is empty
        return cls(stratum, np.bincount(stratum))

    def allocated(self, rows: int) -> NDArray[np.int64]:
        """How many rows each stratum gives, two at least, when `rows` are drawn."""
        found = np.zeros_like(self.sizes)
        while (left := rows - int(found.sum())) > 0 and len(free := np.flatnonzero(found < self.sizes)):
            base, over = divmod(left, len(free))
            found[free] += base
            found[free[len(free) - over :]] += 1
            found = np.minimum(found, self.sizes)  # a small stratum's shortfall is taken from the others
        least: NDArray[np.int64] = np.maximum(found, np.minimum(self.sizes, 2))
        return least

    def draw(self, rows: int, seed: int) -> tuple[NDArray[np.int64], Array]:
        """Rows without replacement in a random order, and the drawing probability of each."""
        random = np.random.default_rng(seed)
        drawn = self.allocated(rows)
        places = np.concatenate(
            [
                random.choice(np.flatnonzero(self.stratum == stratum), count, replace=False)
                for stratum, count in enumerate(drawn)
            ]
        )
        places = random.permutation(places)
        return places, (drawn / self.sizes)[self.stratum[places]]


def assumed_probabilities(predicted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Probabilities for labels without any, as if a fifth of them were wrong, and as many missing.

    For a label that most rows have, a fifth of the rows without it are wrong.
    """
    share = predicted.mean(axis=0, dtype=np.float64)
    wrong = (1 - _ASSUMED) * np.minimum(share, 1 - share)
    least = 1 / len(predicted)
    right, missed = 1 - wrong / np.maximum(share, least), wrong / np.maximum(1 - share, least)
    stated: NDArray[np.float32] = np.where(predicted, right, missed).astype(np.float32)
    return stated
