"""Speed of `corpus build` relative to its tokeniser alone, and its memory use as the registry grows.

    library        `encode_batch_fast` of the tokenizers library on all cores, over the composed texts:
                   nothing is read, cleaned, packed or written; its rate is 100%
    transformers   the same texts through `tokenizer(texts)`, as in most scripts
    corpus build   from the snapshot's file to the finished folder, including the start of its workers

The trials are real ones if given (--trials), else synthetic; repeated under other NCT ids
until there are enough. The first three rows take turns over a quarter of --rows, each run in a
process of its own; then come builds of a sixteenth and of all. Peak memory is the most that a run and
its workers used together, shared pages counted once; a build writes through the page cache.

    python benchmarks/corpus.py [--rows 100000] [--json FILE]
"""

# ruff: noqa: PLC0415 - a worker imports this script, and must import no more than the command does
import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

from trialtune.workers import cores

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "trials.parquet"
SAMPLE = 10_000  # synthetic trials, if there are no real ones
TEXTS = 4096  # per call of the tokeniser
GROUP = 10_000  # rows of a row group, as in an imported snapshot
NAMES = ("library", "transformers", "corpus build")


def make_snapshot(trials: pl.DataFrame, rows: int, path: Path) -> None:
    """Write `rows` trials: those given, again and again under other NCT ids."""
    writer = None
    for start in range(0, rows, GROUP):
        places = pl.int_range(start, min(start + GROUP, rows), eager=True)
        ids = "NCT" + places.cast(pl.String).str.zfill(8)
        table = trials[places % len(trials)].with_columns(ids.alias("nct_id")).to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer:
        writer.close()


def make_inputs(folder: Path, source: Path | None, sizes: list[int]) -> None:
    """Snapshots of every size, and the composed texts of the second, which the library is given."""
    from trialtune.corpus.documents import compose
    from trialtune.registry.sample import SampleSettings, write_sample
    from trialtune.registry.snapshot.build import import_trials

    if source is None:
        write_sample(folder / "sample", SampleSettings(studies=SAMPLE))
        source = folder / "sample" / "studies.jsonl.gz"
    import_trials(source, folder / "trials.parquet")
    trials = pl.read_parquet(folder / "trials.parquet")
    for size in sizes:
        make_snapshot(trials, size, folder / f"{size}.parquet")
    texts = [compose(record).text for record in trials.head(sizes[1]).iter_rows(named=True)]
    repeated = pl.DataFrame({"text": texts})[pl.int_range(sizes[1], eager=True) % len(texts)]
    repeated.write_parquet(folder / "texts.parquet", row_group_size=TEXTS)


def batches(path: Path) -> Iterator[list[str]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(TEXTS):
            yield batch["text"].to_pylist()


def tokenise(name: str, tokenizer: Any, texts: list[str]) -> int:
    """Tokenise as a row of the benchmark does; returns the number of tokens."""
    if name == "library":
        library = tokenizer.backend_tokenizer
        library.no_truncation()
        library.no_padding()
        return sum(map(len, library.encode_batch_fast(texts, add_special_tokens=False)))
    plain = tokenizer(
        texts,
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return sum(map(len, plain["input_ids"]))


class Memory(threading.Thread):
    """Watches what this process and its workers hold, five times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        own = psutil.Process()
        while True:
            held = 0
            for process in (own, *own.children()):
                with suppress(psutil.Error):  # a worker that has just ended
                    held += process.memory_full_info().pss
            self.peak = max(self.peak, held)
            time.sleep(0.2)


def measure(folder: Path, name: str, size: int) -> dict[str, Any]:
    """Run one row; returns tokens, seconds of wall and of CPU, peak memory and megabytes written."""
    from trialtune.corpus.build import build_corpus
    from trialtune.corpus.settings import CorpusSettings
    from trialtune.models.encoders import EMBEDDED, Encoder

    tokenizer = Encoder.open(EMBEDDED).tokenizer
    memory = Memory()
    memory.start()
    written = 0.0
    if name == "corpus build":
        start, before = time.perf_counter(), sum(os.times()[:4])
        out = folder / "corpus"
        made = build_corpus(
            folder / f"{size}.parquet", tokenizer, out, settings=CorpusSettings(), workers=cores()
        )
        seconds, cpu = time.perf_counter() - start, sum(os.times()[:4]) - before
        special = 2 * (made.blocks + made.heldout_blocks) + made.documents + made.heldout_documents
        tokens = made.tokens + made.heldout_tokens - special  # those that the tokeniser made
        written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6
    else:
        seconds = cpu = 0.0
        tokens = 0
        for texts in batches(folder / "texts.parquet"):  # read outside the clock
            start, before = time.perf_counter(), sum(os.times()[:4])
            tokens += tokenise(name, tokenizer, texts)
            seconds, cpu = seconds + time.perf_counter() - start, cpu + sum(os.times()[:4]) - before
    return {
        "trials": size,
        "tokens": tokens,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "tokens_per_s": tokens / seconds,
        "peak_mb": memory.peak / 1e6,
        "written_mb": written,
    }


def run_all(folder: Path, sizes: list[int], seeds: int) -> tuple[list[dict[str, Any]], float]:
    """Measure every row, the medians of several runs where they are compared; and what others used."""
    from turns import in_turns

    command = [__file__, "--folder", str(folder), "--row"]
    small, middle, large = sizes
    measured, busiest = in_turns([*command, str(middle)], NAMES, seeds)
    rows = [
        {"name": name, **{key: statistics.median(run[key] for run in runs) for key in runs[0]}}
        for name, runs in measured.items()
    ]
    for size in (small, large):
        grown, busy = in_turns([*command, str(size)], NAMES[2:], 1)
        busiest = max(busiest, busy)
        rows.append({"name": NAMES[2], **grown[NAMES[2]][0]})
    for row in rows:
        row["of_library"] = row["tokens_per_s"] / rows[0]["tokens_per_s"]
    return rows, busiest


def show(rows: list[dict[str, Any]], busiest: float) -> None:
    from trialtune.experiment.environment import machine
    from trialtune.models.encoders import EMBEDDED

    table = Table(box=box.MARKDOWN)
    table.add_column("row", no_wrap=True)
    headers = ("trials", "tokens", "wall s", "CPU s", "tokens/s", "of library", "peak MB", "written MB")
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['trials']:,.0f}",
            f"{row['tokens']:,.0f}",
            f"{row['seconds']:,.1f}",
            f"{row['cpu_seconds']:,.1f}",
            f"{row['tokens_per_s']:,.0f}",
            f"{row['of_library']:.0%}",
            f"{row['peak_mb']:,.0f}",
            f"{row['written_mb']:,.0f}",
        )
    console, here = Console(width=130), machine().model_dump()
    console.print(table)
    console.print(
        f"{here['cpu']}, {cores()} cores, {here['memory_gib']} GiB; tokenizers {version('tokenizers')}, "
        f"the vocabulary of {EMBEDDED}"
    )
    if busiest > 10:
        console.print(f"Others used up to {busiest:.0f}% of the CPU meanwhile: these numbers are unreliable.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="trials of the largest snapshot")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--trials", type=Path, help="what `trialtune registry import` reads")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each row that is compared")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--row", nargs=3, metavar=("SIZE", "NAME", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        size, name, _ = options.row
        print(json.dumps(measure(options.folder, name, int(size))))
        return
    sizes = [max(1, options.rows // part) for part in (16, 4, 1)]
    with tempfile.TemporaryDirectory() as folder:
        make_inputs(Path(folder), options.trials or (REAL if REAL.is_file() else None), sizes)
        rows, busiest = run_all(Path(folder), sizes, options.seeds)
    show(rows, busiest)
    if options.json:
        from trialtune.experiment.environment import machine, versions

        report = {
            "rows": rows,
            "machine": machine().model_dump(),
            "versions": versions(),
            "foreign_cpu": busiest,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
