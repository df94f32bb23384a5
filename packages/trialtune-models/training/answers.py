"""Collect teachers' predictions in one file without texts; several teachers of a text are averaged.

    python answers.py FILE.parquet... --out answers/stop-reasons.parquet

Files are those of `trialtune crossfit` (out_of_fold.parquet) and `trialtune predict`.
"""

import argparse
from pathlib import Path

import polars as pl

from trialtune.classifier.prediction import text_hash
from trialtune.stages.teachers import Answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tables = [pl.read_parquet(file, columns=["text", "probabilities"]) for file in options.files]
    labels = tables[0]["probabilities"].struct.fields
    texts = pl.concat(table["text"].drop_nulls() for table in tables).unique(maintain_order=True).to_list()
    answers = Answers.of(options.files, texts, labels).probabilities.round(3)
    stated = pl.DataFrame(answers, dict.fromkeys(labels, pl.Float32()), orient="row")
    whole = pl.DataFrame({"text_hash": [*map(text_hash, texts)], "probabilities": stated.to_struct()})
    whole.write_parquet(options.out, compression="zstd", compression_level=19)
    print(f"{len(texts):,} answers in {options.out}")


if __name__ == "__main__":
    main()
