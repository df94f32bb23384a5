"""Tokens per second, peak memory and final loss of MLM + LoRA training: ours against the stock stack.

Every row trains the same encoder on the same masked batches with the same LoRA shape (r=8 on query
and value), in a separate process:

    stock-fp32   `transformers` Trainer + PEFT as they come: dropout, logits at every position
    stock-bf16   the same with bf16=True
    trialtune    what `trialtune adapt` does
    baseline     the same of another build, with --baseline PYTHON; on its own corpus of the same trials

Rows take turns, once per seed, so that noise on the machine affects all alike; medians are printed. The final
loss is taken in fp32 on held-out blocks, from the trained weights loaded into a new model. Run it on
an otherwise idle machine: python benchmarks/adapt.py [--json FILE]
"""

import argparse
import itertools
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from memory import peak_mb
from rich import box
from rich.console import Console
from rich.table import Table
from stock import Clock, stock_arguments
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    PreTrainedModel,
    Trainer,
    logging,
)
from turns import BASELINE, add_options, in_turns, of_build, own_environment, peak, print_machine

from trialtune.corpus.blocks import Blocks, BlockSource, read_blocks
from trialtune.corpus.build import build_corpus
from trialtune.corpus.masking import Masker
from trialtune.corpus.settings import CorpusSettings
from trialtune.evaluation.mlm import mlm_metrics, token_counts
from trialtune.experiment.environment import machine, versions
from trialtune.models.encoders import EMBEDDED, Encoder
from trialtune.models.kernels import prepare_training, set_dropout
from trialtune.models.lora import add_lora
from trialtune.models.mlm import MaskedLM, load_masked_lm, start_head_bias, unfreeze_head
from trialtune.models.settings import LoraSettings
from trialtune.registry.sample import SampleSettings, write_sample
from trialtune.registry.snapshot.build import import_trials
from trialtune.training.batching import MaskedBatches
from trialtune.training.loop import train
from trialtune.training.settings import TrainSettings

ROWS = ("stock-fp32", "stock-bf16", "trialtune")
STEPS = {"minilm-l6": 24, "bert-base": 8}  # of 16 blocks of 128 tokens
BATCH, BLOCK, WARM = 16, 128, 2  # the first steps, which load kernels, are not timed
LEARNING_RATE = 1e-3
HELDOUT = 64  # blocks


def load(encoder: str, blocks: BlockSource) -> PreTrainedModel:
    """The encoder with LoRA on query and value, and a trained head where it brought none."""
    torch.manual_seed(0)
    if encoder == "bert-base":  # its speed does not depend on its weights
        model, has_head = AutoModelForMaskedLM.from_config(BertConfig()), True
    else:
        model, has_head = load_masked_lm(Encoder.open(EMBEDDED))
        start_head_bias(model, token_counts(blocks, model.config.vocab_size))
    add_lora(model, LoraSettings(r=8, lora_alpha=16, target_modules=("query", "value")))
    if not has_head:
        unfreeze_head(model)
    return model


def train_stock(
    model: PreTrainedModel, batches: MaskedBatches, *, steps: int, bf16: bool
) -> tuple[list[float], float]:
    """Train with the Trainer; returns the seconds of each step and the operations of one."""
    clock = Clock()

    class Counted(Trainer):
        operations = 0.0

        def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
            if self.operations:
                return super().training_step(*arguments, **named)
            with FlopCounterMode(display=False) as counter:
                loss = super().training_step(*arguments, **named)
            self.operations = counter.get_total_flops()
            return loss

    rows = [
        {name: value[row] for name, value in batches[step].items()}
        for step in range(steps)
        for row in range(batches.batch_size)
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = stock_arguments(
            folder,
            batch_size=batches.batch_size,
            steps=steps,
            learning_rate=LEARNING_RATE,
            weight_decay=0.01,
            adam_beta2=0.98,
            warmup_steps=0.06,
            bf16=bf16,
            train_sampling_strategy="sequential",
            seed=batches.seed,
        )
        trainer = Counted(model, arguments, train_dataset=rows, callbacks=[clock])
        trainer.train()
    return clock.seconds, trainer.operations


def train_ours(model: PreTrainedModel, batches: MaskedBatches, *, steps: int) -> tuple[list[float], float]:
    """Train as `trialtune adapt` does; returns the seconds of each step and the operations of one."""
    set_dropout(model, 0.0)
    prepare_training(model, tokens=BLOCK)
    ends: list[float] = []
    outcome = train(
        MaskedLM(model),
        batches,
        lambda model, batch: model(batch["input_ids"], batch["labels"], batch["attention_mask"]),
        settings=TrainSettings(steps=steps, batch_size=BATCH, learning_rate=LEARNING_RATE, seed=batches.seed),
        report=lambda progress: ends.append(time.perf_counter()),
    )
    operations = outcome.peak_share * peak(bf16=True) / outcome.tokens_per_s * BATCH * BLOCK
    return [end - start for start, end in itertools.pairwise(ends)], operations


def measure(encoder: str, name: str, seed: int, corpus: Path) -> dict[str, Any]:
    """Train one row; returns tokens/s, peak memory in MB, final loss, and the share of the peak used."""
    tokenizer = Encoder.open(EMBEDDED).tokenizer
    blocks = read_blocks(corpus, "train", pad_id=tokenizer.pad_token_id)
    heldout = read_blocks(corpus, "heldout", pad_id=tokenizer.pad_token_id).head(HELDOUT)
    masker = Masker.of(tokenizer)
    batches, steps = MaskedBatches(blocks, masker, BATCH, seed), STEPS[encoder]
    model, bf16 = load(encoder, blocks), name != "stock-fp32"
    if name == "trialtune":
        seconds, operations = train_ours(model, batches, steps=steps)
    else:
        seconds, operations = train_stock(model, batches, steps=steps, bf16=bf16)
    memory = peak_mb()
    step = statistics.median(seconds[WARM:])
    return {
        "tokens_per_s": BATCH * BLOCK / step,
        "peak_mb": memory,
        "final_loss": score(model, load(encoder, blocks), heldout, masker),
        "peak_share": operations / step / peak(bf16=bf16),
    }


def score(trained: nn.Module, fresh: PreTrainedModel, heldout: Blocks, masker: Masker) -> float:
    """Held-out loss in fp32 of the trained weights, loaded into a new model."""
    weights = {name: value for name, value in trained.named_parameters() if value.requires_grad}
    with torch.no_grad():
        for name, value in weights.items():
            fresh.get_parameter(name).copy_(value)
        loss: float = mlm_metrics(MaskedLM(fresh).eval(), heldout, masker).loss
    return loss


def make_corpus(folder: Path) -> Path:
    """A corpus of synthetic trials."""
    write_sample(folder / "sample", SampleSettings(studies=2400))
    import_trials(folder / "sample" / "studies.jsonl.gz", folder / "snapshot.parquet")
    build_corpus(
        folder / "snapshot.parquet",
        Encoder.open(EMBEDDED).tokenizer,
        folder / "corpus",
        settings=CorpusSettings(block_size=BLOCK),
    )
    return folder / "corpus"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--corpus", type=Path, help="a corpus folder (default: synthetic trials)")
    parser.add_argument("--encoders", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--seeds", type=int, default=3)
    add_options(parser)
    parser.add_argument("--row", nargs=3, metavar=("ENCODER", "NAME", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if options.row:
        encoder, name, seed = options.row
        print(json.dumps(measure(encoder, name, int(seed), options.corpus)))
        return
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus or make_corpus(Path(folder))
        other = other_build(options.baseline, Path(folder)) if options.baseline else None
        rows, busiest = run_all(options, corpus, other)
    show(rows, busiest)
    if options.json:
        report = {
            "rows": rows,
            "machine": machine().model_dump(),
            "versions": versions(),
            "foreign_cpu": busiest,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def other_build(python: Path, folder: Path) -> list[str]:
    """Another build's command, after it has made a corpus of its own."""
    command, made = of_build(python, "adapt.py"), folder / BASELINE
    made.mkdir()
    make = "import sys, pathlib, adapt; adapt.make_corpus(pathlib.Path(sys.argv[1]))"
    subprocess.run([python, "-c", make, made], check=True, cwd=Path(command[1]).parent, env=own_environment())
    return [*command, "--corpus", str(made / "corpus")]


def run_all(
    options: argparse.Namespace, corpus: Path, other: list[str] | None
) -> tuple[list[dict[str, Any]], float]:
    """Measure every row once per seed, in turns; returns medians and the most that others used a CPU."""
    rows, busiest = [], 0.0
    for encoder in options.encoders:
        command = [__file__, "--corpus", str(corpus), "--row", encoder]
        measured, busy = in_turns(
            command,
            ROWS,
            options.seeds,
            baseline=[*other, "--row", encoder] if other else None,
            busy=options.competitor,
        )
        busiest = max(busiest, busy)
        for name, results in measured.items():
            losses = [result["final_loss"] for result in results]
            medians = {key: statistics.median(r[key] for r in results) for key in results[0]}
            spread = max(losses) - min(losses)
            rows.append({"name": name, "encoder": encoder, **medians, "final_loss_spread": spread})
    return rows, busiest


def show(rows: list[dict[str, Any]], busiest: float) -> None:
    table = Table(box=box.MARKDOWN)
    table.add_column("encoder", no_wrap=True)
    table.add_column("row", no_wrap=True)
    for header in ("tokens/s", "x fp32", "x bf16", "peak MB", "x fp32", "final loss", "of peak"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        stock, half = (
            next(r for r in rows if (r["name"], r["encoder"]) == (n, row["encoder"])) for n in ROWS[:2]
        )
        table.add_row(
            row["encoder"],
            row["name"],
            f"{row['tokens_per_s']:,.0f}",
            f"{row['tokens_per_s'] / stock['tokens_per_s']:.1f}",
            f"{row['tokens_per_s'] / half['tokens_per_s']:.1f}",
            f"{row['peak_mb']:,.0f}",
            f"{row['peak_mb'] / stock['peak_mb']:.2f}",
            f"{row['final_loss']:.3f} ±{row['final_loss_spread'] / 2:.3f}",
            f"{row['peak_share']:.0%}",
        )
    console = Console(width=110)
    console.print(table)
    print_machine(console, busiest)


if __name__ == "__main__":
    main()
