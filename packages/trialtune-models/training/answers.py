"""Put what teachers answered into one file without texts: the first file that has a text counts.

    python answers.py FILE.parquet... --out answers/stop-reasons.parquet

Files are those of `trialtune crossfit` (out_of_fold.parquet) and `trialtune predict`. Those given with
--mean are averaged first: several teachers' answers to the same texts, in the same order.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--mean", type=Path, nargs="+", default=[])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tables = [pl.read_parquet(file).select("text_hash", "probabilities") for file in options.files]
    if options.mean:
        several = [pl.read_parquet(file).drop_nulls("text") for file in options.mean]
        values = np.mean([table["probabilities"].struct.unnest().to_numpy() for table in several], axis=0)
        names = several[0]["probabilities"].struct.fields
        tables.append(
            several[0]
            .select("text_hash")
            .with_columns(pl.DataFrame(values, names).to_struct("probabilities"))
        )
    whole = pl.concat(
        table.with_columns(
            pl.struct(pl.col("probabilities").struct.unnest().cast(pl.Float32).round(3)).alias(
                "probabilities"
            )
        )
        for table in tables
    ).unique("text_hash", keep="first", maintain_order=True)
    whole.write_parquet(options.out, compression="zstd", compression_level=19)
    print(f"{len(whole):,} answers in {options.out}")


if __name__ == "__main__":
    main()
