"""The rows a classifier was trained on, stored with it to prevent scoring on training rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from trialtune.dataset.near_duplicates import NEAR, Signatures, agreement, candidates, signatures
from trialtune.errors import DataError
from trialtune.tasks.text import normalize_text, wording_hash

SEEN_FILE = "seen.parquet"
FOUNDATION_FILE = "foundation_seen.parquet"  # rows seen by the underlying classifier, with other labels


def write_seen(examples: pl.DataFrame, folder: Path, *, extra: Sequence[str] = ()) -> None:
    """Write the NCT id, a hash and a MinHash signature (128 bytes) of each row, without the texts.

    For `extra` texts, which had no label, only the hash.
    """
    texts = [normalize_text(text) for text in examples["text"]]
    signed = [row.tobytes() for row in signatures(texts).astype("<u2")]
    rows = _identities(examples).with_columns(pl.Series("signature", signed, dtype=pl.Binary))
    unlabelled = pl.DataFrame({"text_hash": [_hash(text) for text in extra]}, schema={"text_hash": pl.String})
    _write(pl.concat([rows, unlabelled], how="diagonal"), folder)


def add_seen(source: Path, folder: Path) -> None:
    """Add the rows seen by `source`, a teacher or an encoder trained as a classifier, to `folder`."""
    places = [place / SEEN_FILE for place in (folder, source) if (place / SEEN_FILE).is_file()]
    if places:
        _write(pl.concat(map(pl.read_parquet, places), how="diagonal_relaxed"), folder)


def add_foundation_seen(source: Path, folder: Path) -> None:
    """Store in `folder` the rows seen in training by the classifier in `source`, on whose layers it is built.

    It had other labels: scores on these rows are too high, but not meaningless.
    """
    places = [source / name for name in (SEEN_FILE, FOUNDATION_FILE) if (source / name).is_file()]
    if places:
        rows = pl.concat(pl.read_parquet(place, columns=["nct_id", "text_hash"]) for place in places)
        _write(rows, folder, FOUNDATION_FILE)


def seen_by_foundation(examples: pl.DataFrame, folder: Path) -> int:
    """How many rows were seen, with other labels, by the classifier that the one in `folder` is built on."""
    return len(_divide(examples, folder / FOUNDATION_FILE)[1])


def drop_seen(examples: pl.DataFrame, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split rows into (unseen, seen) by NCT id and by normalized text.

    For a folder without `seen.parquet`, such as one from another tool, every row is unseen.
    """
    return _divide(examples, folder / SEEN_FILE)


def check_unseen(examples: pl.DataFrame, folder: Path, *, name: str) -> None:
    """Raise DataError when the encoder `name` in `folder` was trained as a classifier on some of the rows."""
    _, seen = drop_seen(examples, folder)
    if len(seen):
        raise DataError(
            f"encoder {name!r} was trained as a classifier on {len(seen)} of these {len(examples)} rows"
            f" (its {SEEN_FILE}): scores on them would be meaningless; give the encoder it was trained from"
        )


def near_seen(examples: pl.DataFrame, folder: Path) -> np.ndarray | None:
    """Whether each row [rows] is a near-duplicate of one that `folder` has seen; None when unknown.

    Similarities are estimates from signatures (standard error 0.05 at the limit of 0.75), since the
    texts themselves are not kept.
    """
    seen = _signatures(folder)
    if seen is None:
        return None
    mine = signatures([normalize_text(text) for text in examples["text"]])
    pairs = candidates(seen, mine)
    near = np.zeros(len(examples), dtype=bool)
    near[pairs[agreement(seen, mine, pairs) >= NEAR, 1]] = True
    return near


def _signatures(folder: Path) -> Signatures | None:
    """The signatures stored in a folder [texts, 64]; None when it has none."""
    path = folder / SEEN_FILE
    if not path.is_file() or "signature" not in pl.read_parquet_schema(path):
        return None
    kept = pl.read_parquet(path, columns=["signature"])["signature"].drop_nulls()
    rows = np.frombuffer(b"".join(kept), dtype="<u2").astype(np.uint16)
    return rows.reshape(len(kept), -1) if len(kept) else signatures([])


def _divide(examples: pl.DataFrame, file: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that are not in a file of seen ones, and those that are; all are unseen without the file."""
    if not file.is_file():
        return examples, examples.clear()
    seen = pl.read_parquet(file, columns=["nct_id", "text_hash"])
    mine = _identities(examples)
    overlap = mine["text_hash"].is_in(seen["text_hash"].implode()) | (
        mine["nct_id"].is_in(seen["nct_id"].drop_nulls().implode()).fill_null(False)
    )
    return examples.filter(~overlap), examples.filter(overlap)


def _identities(examples: pl.DataFrame) -> pl.DataFrame:
    hashes = [_hash(text) for text in examples["text"]]
    return examples.select("nct_id", pl.Series("text_hash", hashes, dtype=pl.String))


def _hash(text: str) -> str:
    return wording_hash(text, digits=16)


def _write(rows: pl.DataFrame, folder: Path, name: str = SEEN_FILE) -> None:
    rows.unique().sort("text_hash", "nct_id").write_parquet(folder / name)
