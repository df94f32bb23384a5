"""What a classifier has seen: kept beside it, so that nobody scores it on its own training rows."""

import hashlib
from pathlib import Path

import polars as pl

from trialtune.tasks.splits import normalise

SEEN_FILE = "seen.parquet"


def write_seen(examples: pl.DataFrame, folder: Path) -> None:
    """Write the NCT id and a hash of the normalised text of each row; the texts stay out."""
    _identities(examples).unique().sort("text_hash", "nct_id").write_parquet(folder / SEEN_FILE)


def drop_seen(examples: pl.DataFrame, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Divide rows into (unseen, seen) by NCT id and by normalised text.

    A folder without `seen.parquet`, such as one made elsewhere, counts every row as unseen.
    """
    if not (folder / SEEN_FILE).is_file():
        return examples, examples.clear()
    seen = pl.read_parquet(folder / SEEN_FILE)
    mine = _identities(examples)
    overlap = mine["text_hash"].is_in(seen["text_hash"].implode()) | (
        mine["nct_id"].is_in(seen["nct_id"].drop_nulls().implode()).fill_null(False)
    )
    return examples.filter(~overlap), examples.filter(overlap)


def _identities(examples: pl.DataFrame) -> pl.DataFrame:
    hashes = [hashlib.sha256(normalise(text).encode()).hexdigest()[:16] for text in examples["text"]]
    return examples.select("nct_id", pl.Series("text_hash", hashes, dtype=pl.String))
