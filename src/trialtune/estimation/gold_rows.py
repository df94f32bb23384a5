"""Reads and checks gold rows: their positions in the population, and their sampling weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialtune.annotation.settings import LISTED, RANDOM
from trialtune.errors import DataError
from trialtune.estimation.hand_labels import (
    CHANCE,
    PARTIAL,
    STRATUM,
    are_labelled,
    read_hand_labels,
    truths_of,
)
from trialtune.estimation.intervals import Array
from trialtune.estimation.population import Population
from trialtune.estimation.result import GoldCounts

_HASH = "^[0-9a-f]{16}$"
_OFF = 0.005  # relative deviation allowed between strata and population size
_CHANCE_OFF = 5  # the same for other designs, in standard errors


@dataclass(frozen=True)
class GoldRows:
    """Gold rows: their positions in the population, their labels [rows, labels], and sampling weights.

    Of `drawn` rows, `labelled` are done, `later` come after the last labelled one and
    are not reached yet, `skipped` are between labelled ones, `changed` have another text now; `aside`
    were not drawn at random. `assumed`: the user asserts that they are a random sample.
    """

    places: NDArray[np.int64]
    holds: NDArray[np.bool_]
    weights: Array
    drawn: int
    later: int
    skipped: int
    changed: int
    aside: int
    strata: int
    assumed: bool

    @property
    def labelled(self) -> int:
        return len(self.places)

    @property
    def counts(self) -> GoldCounts:
        """The counts, for a result."""
        return GoldCounts(
            drawn=self.drawn,
            labelled=self.labelled,
            later=self.later,
            skipped=self.skipped,
            changed=self.changed,
            aside=self.aside,
            strata=self.strata,
            assumed_random=self.assumed,
        )


def read_gold(
    path: Path, population: Population, *, others: NDArray[np.bool_], assume_random: bool = False
) -> GoldRows:
    """Read hand labels of a random sample of the population's rows marked in `others` [rows].

    `path` is a table of `nct_id`, `labels` (names separated by `|`, or a list) and `drawing_probability`, as
    `trialtune estimate plan` writes it, with or without `stratum`. An empty cell is a row not labelled yet:
    the labelled rows of a stratum represent all of it. In a multi-label task `-` means that no label applies.

    Raises:
        DataError: A row is not in the population, is repeated, has an unknown label or no probability;
            the weights do not add up to the population; or there are none, and `assume_random` is not
            set.
    """
    table, aside = _by_chance(read_hand_labels(path, population.task))
    table = _placed(table, population, others, path)
    there = are_labelled(table, population)
    labelled = table.filter(there & ~table["changed"])
    if not len(labelled):
        raise DataError(f"{path}: no row has labels yet; fill in the column labels")
    holds = truths_of(labelled, population, path)
    last = int(there.arg_true()[-1])
    changed = int((there & table["changed"]).sum())
    assumed = CHANCE not in table.columns and "drawn" not in table.columns
    if assumed and not assume_random:
        raise DataError(
            f"{path}: has no column {CHANCE}, so it is unknown how its rows were sampled; draw rows with"
            " `trialtune estimate plan`, or use --assume-random if each row had the same probability"
        )
    # Rows may have been drawn from the whole population, or from the subset given by --where.
    sizes = [int(others.sum())]
    if table["within"].all():
        sizes.append(int((others & population.within).sum()))
    weights, strata = _weights(table, labelled, sizes, path)
    return GoldRows(
        labelled["place"].to_numpy().astype(np.int64),
        holds,
        weights,
        drawn=len(table),
        later=len(table) - 1 - last,
        skipped=int((~there).sum()) - (len(table) - 1 - last),
        changed=changed,
        aside=aside,
        strata=strata,
        assumed=assumed,
    )


def _by_chance(table: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The rows drawn at random; `annotate` marks those that it chose for training instead."""
    if "drawn" not in table.columns or CHANCE in table.columns:
        return table, 0
    kept = table.filter(pl.col("drawn").cast(pl.String).str.to_lowercase().is_in([RANDOM, LISTED]))
    return kept, len(table) - len(kept)


def _placed(
    table: pl.DataFrame, population: Population, others: NDArray[np.bool_], path: Path
) -> pl.DataFrame:
    """With `place`, the row of the population, and `changed`, whether its text has changed."""
    facts = {"nct_id": population.nct_ids, "place": pl.int_range(len(population), eager=True)}
    known = pl.DataFrame(
        {**facts, "open": others, "within": population.within, "hash_now": population.text_hashes}
    )
    table = table.join(known, on="nct_id", how="left", maintain_order="left")
    foreign = table.filter(pl.col("place").is_null())
    if len(foreign):
        raise DataError(
            f"{path}, row {foreign['row'][0]}: {foreign['nct_id'][0] or 'an empty NCT id'} is not among"
            f" the labelled trials ({len(foreign):,} such rows); give the labels that they were drawn"
            " from"
        )
    taken = table.filter(~pl.col("open"))
    if len(taken):
        raise DataError(
            f"{path}, row {taken['row'][0]}: {taken['nct_id'][0]} has a known label already ({len(taken):,}"
            " such rows); draw with `trialtune estimate plan --known`, which leaves such rows out"
        )
    changed = pl.lit(False)
    if "text_hash" in table.columns and population.text_hashes is not None:
        # A spreadsheet may have parsed a hash as a number.
        whole = pl.col("text_hash").cast(pl.String).str.contains(_HASH)
        changed = (whole & (pl.col("text_hash") != pl.col("hash_now"))).fill_null(False)
    return table.with_columns(changed.alias("changed"))


def _weights(
    table: pl.DataFrame, labelled: pl.DataFrame, sizes: Sequence[int], path: Path
) -> tuple[Array, int]:
    """The sampling weight of each labelled row, and the number of strata.

    `sizes` are the numbers of rows that they may represent.
    """
    if CHANCE not in table.columns:
        return np.full(len(labelled), sizes[-1] / len(labelled)), 1
    partial = PARTIAL in table.columns
    table, labelled = (_with_chances(frame, path) for frame in (table, labelled))
    if STRATUM not in table.columns:
        chances = table[CHANCE].to_numpy()
        stood, error = (1 / chances).sum(), np.sqrt(((1 - chances) / chances**2).sum())
        size = _size(stood, sizes, _CHANCE_OFF * error, path, partial=partial)
        return size / stood * len(table) / len(labelled) / labelled[CHANCE].to_numpy(), 1
    if len(bare := table.filter(pl.col(STRATUM).is_null())):
        raise DataError(
            f"{path}, row {bare['row'][0]}: {bare['nct_id'][0]} has no {STRATUM} ({len(bare):,} such rows);"
            " keep those of the sheet"
        )
    strata = table.group_by(STRATUM).agg(
        pl.len().alias("drawn"), pl.col(CHANCE).mean(), pl.col(CHANCE).n_unique().alias("chances")
    )
    mixed = strata.filter(pl.col("chances") > 1)
    if len(mixed):
        raise DataError(f"{path}: stratum {mixed[STRATUM][0]} has several drawing probabilities; give it one")
    strata = strata.with_columns((pl.col("drawn") / pl.col(CHANCE)).alias("stands_for"))
    stood = float(strata["stands_for"].sum())
    # For a labels file the number of rows drawn is unknown: those answered so far represent all.
    size = _size(stood, sizes, 0.0, path, partial=partial)
    scale = size / stood if partial else 1.0
    answered = labelled.group_by(STRATUM).agg(pl.len().alias("labelled"))
    strata = strata.join(answered, on=STRATUM, how="left")
    bare = strata.filter(pl.col("labelled").is_null())
    if len(bare):
        raise DataError(
            f"{path}: no row of stratum {bare[STRATUM][0]} is labelled ({len(bare)} of {len(strata)} strata"
            " are without); label the sheet's rows in their order, and some more of them"
        )
    counts = strata[[STRATUM, "stands_for", "labelled"]].rows()
    weights = {name: scale * stands / count for name, stands, count in counts}
    return np.array([weights[name] for name in labelled[STRATUM]], dtype=float), len(strata)


def _with_chances(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    written = table[CHANCE]
    plain = written.str.replace(r"^\s*(\d),", "$1.") if written.dtype == pl.String else written
    chances = plain.cast(pl.Float64, strict=False)
    wrong = (chances.is_null() | ~chances.is_between(0, 1, closed="right")).arg_true()
    if len(wrong):
        place = int(wrong[0])
        what = "no" if written[place] is None else f"{written[place]!r} as"
        raise DataError(
            f"{path}, row {table['row'][place]}: {table['nct_id'][place]} has {what} {CHANCE}"
            f" ({len(wrong):,} such"
            " rows); it must be above 0 and at most 1: keep those of the sheet"
        )
    return table.with_columns(chances)


def _size(stood: float, sizes: Sequence[int], off: float, path: Path, *, partial: bool = False) -> int:
    """The one of `sizes` that the weights add up to, within `off`; for part of the rows, the last."""
    for size in sizes:
        if abs(stood - size) <= max(_OFF * size, off):
            return size
    if partial and stood < sizes[-1]:
        return sizes[-1]
    rows = " or ".join(f"{size:,}" for size in dict.fromkeys(sizes))
    raise DataError(
        f"{path}: its drawing probabilities imply {stood:,.0f} rows, but there are {rows}; give"
        " the labels that the rows were drawn from (with the same --where), and the whole sheet, labelled"
        " or not"
    )
