"""Counts of groups of rows: all that an estimate needs from a population."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialtune.estimation.intervals import Array
from trialtune.estimation.population import Cells
from trialtune.estimation.result import ALL

Truths = NDArray[np.bool_]


@dataclass(frozen=True)
class Gold:
    """The gold rows: their true classes, predicted classes and probabilities [rows, classes].

    `weights` [rows]: how many rows of the population each represents.
    """

    holds: Truths
    predicted: Truths
    stated: NDArray[np.float32] | None
    weights: Array


@dataclass(frozen=True)
class Tally:
    """Counts of groups of rows.

    `rows` [groups] of the population, of which `predicted` [groups, classes] have the predicted class;
    `stated`, `squared`: sums of probabilities and of their squares. `sampled` [groups, gold rows] marks the
    gold rows of each group. `known_rows`, `known_with` count rows whose labels are known, which are
    in none of the others.
    """

    rows: Array
    predicted: Array
    stated: Array | None
    squared: Array | None
    sampled: Truths
    known_rows: Array
    known_with: Array

    def minus(self, other: "Tally") -> "Tally":
        """The rows that are not in the corresponding group of `other`, a subset of this one."""

        def less(mine: Array | None, theirs: Array | None) -> Array | None:
            return None if mine is None or theirs is None else mine - theirs

        return Tally(
            self.rows - other.rows,
            self.predicted - other.predicted,
            less(self.stated, other.stated),
            less(self.squared, other.squared),
            self.sampled & ~other.sampled,
            self.known_rows - other.known_rows,
            self.known_with - other.known_with,
        )

    def at(self, places: NDArray[np.int64]) -> "Tally":
        """The groups at the given indices."""

        def some(values: Array | None) -> Array | None:
            return None if values is None else values[places]

        return Tally(
            self.rows[places],
            self.predicted[places],
            some(self.stated),
            some(self.squared),
            self.sampled[places],
            self.known_rows[places],
            self.known_with[places],
        )


@dataclass(frozen=True)
class Counted:
    """The rows of a population [rows, classes] to count.

    `open` rows are estimated, `known` ones have the known labels `holds`; a row is at most one of
    the two. `places` are the indices of the gold rows.
    """

    predicted: Truths
    stated: NDArray[np.float32] | None
    open: Truths
    known: Truths
    holds: Truths
    places: NDArray[np.int64]

    def tally(self, cells: Cells) -> Tally:
        """Count each group."""
        groups = len(cells.names)

        def count(rows: Truths, values: NDArray[np.generic] | None = None) -> Array:
            chosen = rows[cells.rows]
            places, inside = cells.cells[chosen], cells.rows[chosen]
            if values is None:
                return np.bincount(places, minlength=groups).astype(float)
            columns = [
                np.bincount(places, values[inside, column].astype(float), groups)
                for column in range(values.shape[1])
            ]
            return np.stack(columns, axis=1)

        sampled = cells.members(self.places) & self.open[self.places]
        return Tally(
            rows=count(self.open),
            predicted=count(self.open, self.predicted),
            stated=None if self.stated is None else count(self.open, self.stated),
            squared=None if self.stated is None else count(self.open, self.stated.astype(float) ** 2),
            sampled=sampled,
            known_rows=count(self.known),
            known_with=count(self.known, self.holds),
        )


def everything(rows: int) -> Cells:
    """One group of all rows."""
    return Cells((ALL,), np.arange(rows), np.zeros(rows, dtype=np.int64))
