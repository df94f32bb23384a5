"""Examples per second, quality and peak memory of a classifier: the reference recipe against ours.

Every row trains the same encoder on the same labelled stop reasons for equally many epochs and
answers the same held-out texts, in a separate process:

    reference    every text padded to 177 tokens, batch 32, fp32, binary cross entropy, the
                 `transformers` Trainer, threshold 0.5. Timed on a few steps and a few batches
    trimmed      the same, but a batch is padded to its longest text only. An attention mask hides the
                 padding, so this learns and answers as the reference does, and is quick enough to do
                 it in full: it gives the reference's quality
    trialtune    what `trialtune finetune` and `trialtune predict` do; of its training rows, a share
                 is kept for thresholds
    baseline     `trialtune` of another build, with --baseline PYTHON
    stream       `trialtune predict` on the registry as it is, a text a stopped trial, repeats and all

Speeds count texts, take in tokenising for scoring, and leave out the first steps. Rows take turns,
once per seed; medians are printed. Run it on an otherwise idle machine:
python benchmarks/finetune.py [--data FOLDER] [--json FILE]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from memory import peak_mb
from rich import box
from rich.console import Console
from rich.table import Table
from stock import Clock, stock_arguments
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Trainer, logging
from turns import add_options, in_turns, of_build, print_machine

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.torch_backend import predictor_of
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.reading import read_examples
from trialtune.dataset.splits import split_examples
from trialtune.evaluation.metrics import score
from trialtune.experiment.environment import machine, versions
from trialtune.models.encoders import EMBEDDED, Encoder
from trialtune.models.sequence_classifier import build_classifier
from trialtune.registry.sample import SampleSettings, write_sample
from trialtune.registry.snapshot.build import import_trials
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task

ROWS = ("reference", "trimmed", "trialtune")
TASK = load_task("stop-reasons")
LABELS = list(TASK.labels)
PADDED, BATCH = 177, 32
WARM = 2  # steps or batches at the start, which load kernels
STEPS, BATCHES = 8, 8  # of the reference that are timed, the warm ones included
Encode = Callable[[Sequence[str]], dict[str, torch.Tensor]]


def measure(name: str, seed: int, epochs: int, data: Path) -> dict[str, Any]:
    """Train and score one row; returns examples/s of both, peak memory in MB, and F1 where it is known."""
    if name == "stream":
        return score_stream(pl.read_parquet(data / "stream.parquet")["text"].to_list())
    train, test = (pl.read_parquet(data / f"{part}.parquet") for part in ("train", "test"))
    with tempfile.TemporaryDirectory() as folder:
        settings = FinetuneSettings(method="full", epochs=epochs, batch_size=BATCH, seed=seed)
        if name == "trialtune":
            return measure_ours(train, test, settings, Path(folder) / "classifier")
        return measure_stock(train, test, settings, folder, padded=name == "reference")


def measure_stock(
    train: pl.DataFrame, test: pl.DataFrame, settings: FinetuneSettings, folder: str, *, padded: bool
) -> dict[str, Any]:
    """The reference recipe; `padded` as it is, but cut short."""
    model, tokenizer = (
        build_classifier(Encoder.open(EMBEDDED), LABELS, kind=TASK.kind, seed=settings.seed),
        Encoder.open(EMBEDDED).tokenizer,
    )
    encode = padding_to(PADDED if padded else None, tokenizer)
    gold = torch.from_numpy(multi_hot(train["labels"], LABELS)).float()
    rows = list(zip(train["text"], gold, strict=True))

    def collate(batch: Sequence[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        texts, labels = zip(*batch, strict=True)
        return {**encode(texts), "labels": torch.stack(labels)}

    clock = Clock()
    arguments = stock_arguments(
        folder,
        batch_size=BATCH,
        steps=STEPS if padded else int(settings.epochs * -(-len(rows) // BATCH)),
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        remove_unused_columns=False,
    )
    Trainer(model, arguments, data_collator=collate, train_dataset=rows, callbacks=[clock]).train()
    memory = peak_mb()
    texts = test["text"].to_list()[: BATCHES * BATCH if padded else None]
    probabilities, per_s = score_plainly(model.eval(), texts, encode)
    measured = {
        "train_per_s": BATCH / statistics.mean(clock.seconds[WARM:]),
        "score_per_s": per_s,
        "peak_mb": memory,
    }
    if padded:
        short, _ = score_plainly(model, texts, padding_to(None, tokenizer))
        return measured | {"moved_by_padding": float(np.abs(probabilities - short).max())}
    metrics = score(multi_hot(test["labels"], LABELS), probabilities > 0.5, LABELS, kind=TASK.kind)
    return measured | {"micro_f1": metrics.micro_f1, "macro_f1": metrics.macro_f1}


def padding_to(length: int | None, tokenizer: PreTrainedTokenizerFast) -> Encode:
    """Texts as a batch padded to `length`, or to the longest of them."""

    def encode(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        padding = "max_length" if length else "longest"
        batch = tokenizer(
            list(texts), padding=padding, truncation=True, max_length=PADDED, return_tensors="pt"
        )
        return dict(batch)

    return encode


@torch.inference_mode()
def score_plainly(model: PreTrainedModel, texts: Sequence[str], encode: Encode) -> tuple[np.ndarray, float]:
    """Probabilities of texts, in batches as they come, and texts per second."""
    found, ends = [], []
    for start in range(0, len(texts), BATCH):
        batch = encode(texts[start : start + BATCH])
        inputs = {name: value.to(model.device) for name, value in batch.items()}
        found.append(model(**inputs).logits.sigmoid().cpu().numpy())
        ends.append(time.perf_counter())
    return np.concatenate(found), (len(texts) - WARM * BATCH) / (ends[-1] - ends[WARM - 1])


def measure_ours(
    train: pl.DataFrame, test: pl.DataFrame, settings: FinetuneSettings, out: Path
) -> dict[str, Any]:
    """What `trialtune finetune` does, then `trialtune predict` and `trialtune evaluate`."""
    ends: list[float] = []
    summary = finetune(
        TASK, train, EMBEDDED, out, settings=settings, report=lambda _: ends.append(time.perf_counter())
    )
    memory = peak_mb()
    examples = settings.epochs * summary.rows.train - WARM * BATCH
    classifier = Classifier.from_pretrained(out)
    metrics = classifier.evaluate(test)
    return {
        "train_per_s": examples / (ends[-1] - ends[WARM]),  # the first is reported before training
        "score_per_s": speed_of(classifier.raw_probabilities, test["text"].to_list()),
        "peak_mb": memory,
        "micro_f1": metrics.micro_f1,
        "macro_f1": metrics.macro_f1,
    }


def score_stream(texts: list[str]) -> dict[str, Any]:
    """Texts per second of a classifier, whose speed does not depend on its weights, on texts with repeats."""
    model = build_classifier(Encoder.open(EMBEDDED), LABELS, kind=TASK.kind)
    predictor = predictor_of(model, Encoder.open(EMBEDDED).tokenizer, max_length=TASK.max_length)
    return {
        "score_per_s": speed_of(predictor.probabilities, texts),
        "texts": len(texts),
        "distinct": len(set(texts)),
        "peak_mb": peak_mb(),
    }


def speed_of(score: Callable[[list[str]], np.ndarray], texts: list[str]) -> float:
    """Texts per second, once the kernels are loaded."""
    score(texts[: WARM * BATCH])
    started = time.perf_counter()
    score(texts)
    return len(texts) / (time.perf_counter() - started)


def prepare(data: Path | None, rows: int, folder: Path) -> None:
    """Write train.parquet, test.parquet (distinct texts, no overlap) and stream.parquet into `folder`."""
    if data is None:
        write_sample(folder / "sample", SampleSettings(studies=6000))
        import_trials(folder / "sample" / "studies.jsonl.gz", folder / "snapshot.parquet")
        source, labels = folder / "snapshot.parquet", folder / "sample" / "stop_reasons.parquet"
        stream = pl.read_parquet(source).filter(pl.col("why_stopped") != "").select(text="why_stopped")
    else:
        source, labels = data / "stop_reasons_train.parquet", None
        stream = pl.read_parquet(data / "stop_reasons_silver.parquet")
    labelled = read_examples(TASK, source, labels, quarantine=folder / "quarantine.jsonl").trainable
    labelled = labelled.unique("text", maintain_order=True)
    drawn = labelled.sample(min(2 * rows, len(labelled)), seed=0)
    parts = split_examples(drawn, fractions={"train": 0.5, "test": 0.5}, seed=0, kind=TASK.kind)
    for name, part in (*parts.items(), ("stream", stream.select("text"))):
        part.write_parquet(folder / f"{name}.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="folder of stop_reasons_*.parquet (default: synthetic trials)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--rows", type=int, default=1500, help="labelled texts to train on, and to hold out")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    add_options(parser)
    parser.add_argument("--row", nargs=3, metavar=("FOLDER", "NAME", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if options.row:
        folder, name, seed = options.row
        print(json.dumps(measure(name, int(seed), options.epochs, Path(folder))))
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(options.data, options.rows, Path(folder))
        row = ["--epochs", str(options.epochs), "--row", folder]
        other = [*of_build(options.baseline, "finetune.py"), *row] if options.baseline else None
        results, busiest = in_turns(
            [__file__, *row], ROWS, options.seeds, baseline=other, busy=options.competitor
        )
        stream, busy = in_turns([__file__, *row], ["stream"], 1, busy=options.competitor)
        texts = len(pl.read_parquet(Path(folder) / "train.parquet"))
    busiest = max(busiest, busy)
    rows = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in {**results, **stream}.items()
    }
    show(rows, busiest, f"{texts:,} training texts, {options.epochs} epochs, {options.seeds} seeds")
    if options.json:
        report = {
            "rows": rows,
            "machine": machine().model_dump(),
            "versions": versions(),
            "foreign_cpu": busiest,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def show(rows: dict[str, dict[str, Any]], busiest: float, trained: str) -> None:
    table = Table(box=box.MARKDOWN)
    table.add_column("row", no_wrap=True)
    for header in ("training/s", "ratio", "scoring/s", "ratio", "micro-F1", "macro-F1", "peak MB", "ratio"):
        table.add_column(header, justify="right", no_wrap=True)
    first = rows["reference"]
    for name, row in rows.items():
        cells = []
        for key, form in (("train_per_s", "{:,.1f}"), ("score_per_s", "{:,.1f}")):
            cells += [form.format(row[key]), f"{row[key] / first[key]:.1f}"] if key in row else ["", ""]
        cells += [f"{row[key]:.3f}" if key in row else "" for key in ("micro_f1", "macro_f1")]
        table.add_row(name, *cells, f"{row['peak_mb']:,.0f}", f"{row['peak_mb'] / first['peak_mb']:.2f}")
    console = Console(width=110)
    console.print(table)
    stream = rows["stream"]
    console.print(
        f"MiniLM-L6, {trained}; the reference is timed on {STEPS - WARM} steps and {BATCHES - WARM} batches, "
        f"and padding moves its probabilities by {first['moved_by_padding']:.0e} at most. "
        f"stream: {stream['texts']:,.0f} texts, {stream['distinct']:,.0f} of them distinct."
    )
    print_machine(console, busiest)


if __name__ == "__main__":
    main()
