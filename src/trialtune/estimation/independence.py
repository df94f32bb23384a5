"""Whether gold rows are independent of a classifier: it must not have been trained on them."""

from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import binom

from trialtune.classifier.folder import ClassifierFolder
from trialtune.classifier.named import open_folder
from trialtune.classifier.shipped import shipped_folder, shipped_names
from trialtune.dataset.seen import SEEN_FILE, drop_seen
from trialtune.errors import DataError
from trialtune.estimation.gold_rows import GoldRows
from trialtune.estimation.population import Population

_COMPARED = 2000  # rows of the population whose share of training rows is compared with the gold rows'
_CHANCE = 1e-3


def classifier_of(population: Population, named: str | None) -> ClassifierFolder | None:
    """The classifier that gave the labels: the one named, or the shipped one of that fingerprint.

    Raises DataError when the one named gave other labels.
    """
    if named is None:
        for name in shipped_names():
            folder = ClassifierFolder.open(shipped_folder(name) or Path(name))
            if folder.fingerprint == population.classifier:
                return folder
        return None
    opened = open_folder(named)
    if population.classifier and opened.fingerprint != population.classifier:
        raise DataError(
            f"{named}: its fingerprint is {opened.fingerprint}, the labels are by {population.classifier};"
            " give the classifier that labelled these rows"
        )
    return opened


def check_independent(population: Population, gold: GoldRows, folder: Path) -> bool:
    """Whether the folder lists its classifier's training rows, with no excess of gold rows among them.

    Raises DataError when gold rows were used for training more often than other rows.

    A classifier trained before the draw may have seen any rows of the population: gold
    rows are then a random sample, and representative of its errors. One trained on the gold rows
    makes fewer errors on them than elsewhere. So the share of its training rows among the gold rows is
    compared with that among all rows (one-sided binomial test, p < 0.001).
    """
    if not (folder / SEEN_FILE).is_file():
        return False
    others = np.random.default_rng(0).permutation(len(population))[:_COMPARED]
    seen_gold, seen_others = (_seen(population, places, folder) for places in (gold.places, others))
    usual = (seen_others + 1) / (len(others) + 2)
    if binom.sf(seen_gold - 1, gold.labelled, usual) < _CHANCE:
        raise DataError(
            f"{folder}: was trained on {seen_gold:,} of the {gold.labelled:,} gold rows (of all rows:"
            f" {seen_others / len(others):.1%}), on which it errs less than elsewhere; give --out-of-fold,"
            " the out_of_fold.parquet of `trialtune crossfit` on these rows, or gold rows drawn after the"
            " training"
        )
    return True


def _seen(population: Population, places: np.ndarray, folder: Path) -> int:
    texts = population.texts[places] if population.texts is not None else [""] * len(places)
    rows = pl.DataFrame({"nct_id": population.nct_ids[places], "text": texts}).with_columns(
        pl.col("text").fill_null("")
    )
    return len(drop_seen(rows, folder)[1])
