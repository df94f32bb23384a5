"""Build the shipped stop-reason labels from two labelled Parquet files: python make_gold.py TRAIN DEV OUT.

Each input has the columns nct_id, text and labels; the output keeps no text, only its hash.
"""

import sys
from pathlib import Path

import polars as pl

from trialtune.files import atomic_file
from trialtune.tasks.stop_reasons.task import LABELS
from trialtune.tasks.text import wording_hash


def gold(frame: pl.DataFrame, split: str) -> pl.DataFrame:
    """The facts of one file: nct_id, labels in the task's order, split, text_hash."""
    order = list(LABELS)
    return pl.DataFrame(
        {
            "nct_id": frame["nct_id"],
            "labels": [sorted(labels, key=order.index) for labels in frame["labels"].to_list()],
            "split": [split] * frame.height,
            "text_hash": [wording_hash(text) for text in frame["text"]],
        },
        schema_overrides={"labels": pl.List(pl.String)},
    )


def main(train: Path, dev: Path, out: Path) -> None:
    """Write `out`; stops when a trial is in both files or twice in one."""
    parts = [gold(pl.read_parquet(train), "train"), gold(pl.read_parquet(dev), "dev")]
    whole = pl.concat(parts).sort("nct_id")
    for column in ("nct_id", "text_hash"):
        if whole[column].is_duplicated().any():
            sys.exit(f"{column} is not unique over {train} and {dev}")
    with atomic_file(out) as temporary:
        whole.write_parquet(temporary, compression="zstd", compression_level=19)
    print(f"{out}: {whole.height} trials, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
