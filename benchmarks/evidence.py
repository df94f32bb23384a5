"""The cost of `--evidence`: phrases per text, and their tokens per token of text.

Each distinct text is split into windows as for the task, each distinct phrase of the texts that have
several once more. Nothing is scored, as time is proportional to tokens; benchmarks/apply.py measures it.
Some seconds: python benchmarks/evidence.py [--data DIR]
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from trialtune.classifier.phrases import phrases
from trialtune.classifier.windows import Windows
from trialtune.models.encoders import EMBEDDED, Encoder
from trialtune.tasks.catalog import load_task

TRIALS = 2000  # whose sex texts are divided


def texts_of(task: str, data: Path) -> list[str]:
    """The distinct texts of a task."""
    if task == "stop-reasons":
        rows = pl.read_parquet(data / "stop_reasons_silver.parquet", columns=["text"])
    else:
        rows = pl.read_parquet(data / "trials.parquet").head(TRIALS)
    read = (load_task(task).text_of(row) for row in rows.iter_rows(named=True))
    return list(dict.fromkeys(text for text in read if text))


def tokens(texts: Iterable[str], tokenizer: Tokenizer) -> int:
    """Tokens that are scored."""
    return sum(map(len, Windows.of(list(texts), tokenizer).distinct))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real trials")
    options = parser.parse_args()
    table = Table(box=box.MARKDOWN)
    for header in ("task", "distinct texts", "of one phrase", "phrases a text", "tokens again"):
        table.add_column(header, justify="right", no_wrap=True)
    tokenizer = Encoder.open(EMBEDDED).tokenizer.backend_tokenizer
    tokenizer.no_padding()
    for task in ("stop-reasons", "sex"):
        tokenizer.enable_truncation(load_task(task).max_length)
        texts = texts_of(task, options.data)
        places = [phrases(text) for text in texts]
        several = [(text, found) for text, found in zip(texts, places, strict=True) if len(found) > 1]
        again = {text[start:end] for text, found in several for start, end in found}
        table.add_row(
            task,
            f"{len(texts):,}",
            f"{1 - len(several) / len(texts):.0%}",
            f"{sum(map(len, places)) / len(texts):.1f}",
            f"{tokens(again, tokenizer) / tokens(texts, tokenizer):.2f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
