"""Which rows to label by hand: strata of equal doubt, an equal number from each, the chances known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialtune.estimation.intervals import Array

_STRATA = 8
_EVEN = 0.5  # share of the chances that all rows have alike: no row stands for more than twice its like
_ASSUMED = 0.8  # how often a label holds that was given without a probability


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
        """Strata of rows that are alike in doubt, from probabilities [rows, classes].

        The doubt of a row is the root of its classes' variances p (1 - p), each over that of the class's
        share, so that a doubtful row of a rare class counts for more: Neyman's allocation (1934) for many
        shares at once, as active inference draws (Zrnic and Candès, 2024, arXiv:2403.03208). Half of it is
        even over all rows: a classifier that is sure and wrong is found out, too.
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
        base, over = divmod(rows, len(self.sizes))
        wanted = base + (np.arange(len(self.sizes)) >= len(self.sizes) - over)
        found: NDArray[np.int64] = np.minimum(np.maximum(wanted, 2), self.sizes)
        return found

    def draw(self, rows: int, seed: int) -> tuple[NDArray[np.int64], Array]:
        """Rows without replacement in a random order, and the chance that each of them had."""
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
    """Probabilities for labels that come without: right four times in five, and missing as many rows."""
    share = predicted.mean(axis=0, dtype=np.float64)
    missed = share * (1 - _ASSUMED) / np.maximum(1 - share, 1 / len(predicted))
    return np.where(predicted, _ASSUMED, missed).astype(np.float32)
