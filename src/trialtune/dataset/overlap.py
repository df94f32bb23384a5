"""Overlap of a training and a test part: an error for identical rows, a count for near-duplicates."""

from pathlib import Path

import polars as pl

from trialtune.corpus.folder import Corpus, corpus_trials
from trialtune.dataset.near_duplicates import similar_pairs
from trialtune.dataset.splits import identities
from trialtune.errors import DataError
from trialtune.tasks.text import normalize_text

_SHOWN = 5


def check_no_overlap(
    train: pl.DataFrame, test: pl.DataFrame, *, names: tuple[str, str] = ("train", "test")
) -> None:
    """Raise DataError when a row of `train` shares its NCT id or normalized text with one of `test`."""
    shared = train.filter(_shares_identity(train, test))
    if shared.is_empty():
        return
    shown = "; ".join(
        f"{row.get('nct_id') or 'no id'} {row['text'][:60]!r}" for row in shared.head(_SHOWN).to_dicts()
    )
    more = f" and {shared.height - _SHOWN} more" if shared.height > _SHOWN else ""
    raise DataError(
        f"{shared.height} of {train.height} rows of {names[0]} share an NCT id or a text with {names[1]}"
        f" ({test.height} rows): {shown}{more}; remove them from {names[0]}"
    )


def drop_overlap(train: pl.DataFrame, test: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`train` without the rows whose NCT id or normalized text occurs in `test`, and those rows."""
    shared = _shares_identity(train, test)
    return train.filter(~shared), train.filter(shared)


def near_overlap(train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """The rows of `test` that are near-duplicates of a row of `train`, each with the closest.

    Returns `test_row` (from 0), `nct_id`, `text`, `nearest` (the training text) and `similarity`
    (Jaccard, of sets of character n-grams, at least 0.75; 1 for the same wording), most similar first.
    """
    pairs, similarity = similar_pairs(
        *([normalize_text(text) for text in part["text"]] for part in (train, test))
    )
    found = pl.DataFrame(
        {
            "test_row": pairs[:, 1],
            "nearest": train["text"].gather(pairs[:, 0]),
            "similarity": similarity,
        }
    )
    nearest = found.sort("similarity", "nearest", descending=[True, False]).unique(
        "test_row", keep="first", maintain_order=True
    )
    rows = test[nearest["test_row"]]
    ids = rows["nct_id"] if "nct_id" in rows.columns else pl.Series([None] * len(rows), dtype=pl.String)
    return nearest.select(
        "test_row", ids.alias("nct_id"), rows["text"].alias("text"), "nearest", "similarity"
    )


def mlm_overlap(test: pl.DataFrame, corpus: Path) -> int:
    """How many rows of `test` belong to trials in the training part of a corpus folder (by NCT id).

    Raises DataError when it is not a corpus, or does not list its trials.
    """
    Corpus.read(corpus)
    read = corpus_trials(corpus)
    ids = test["nct_id"].str.strip_chars().str.to_uppercase()
    return int(ids.is_in(read["nct_id"].implode()).fill_null(False).sum())


def _shares_identity(train: pl.DataFrame, test: pl.DataFrame) -> pl.Series:
    known = {key for keys in identities(test) for key in keys}
    return pl.Series([not known.isdisjoint(keys) for keys in identities(train)], dtype=pl.Boolean)
