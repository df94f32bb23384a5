"""Costs and benefits of the defaults of `trialtune adapt`: held-out loss and speed at equal tokens.

Trains all weights of the embedded encoder on one corpus, once per choice and seed, and scores each at
the same masks on held-out text, with the attention used in training. Run it on an otherwise
idle machine: python benchmarks/choices.py --corpus corpus/base [--json FILE]
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from transformers import logging

from trialtune.experiment.environment import machine
from trialtune.models.encoders import EMBEDDED
from trialtune.stages.adapt import adapt
from trialtune.stages.settings import AdaptSettings
from trialtune.training.settings import TrainSettings

CHOICES: dict[str, dict[str, Any]] = {
    "default": {},
    "documents_apart": {"documents_apart": True},
    "the encoder's dropout": {"dropout": None},
}


def measure(corpus: Path, choice: dict[str, Any], *, steps: int, seed: int) -> dict[str, float]:
    """Held-out accuracy and loss after training with a choice, and its speed."""
    schedule = TrainSettings(steps=steps, eval_steps=steps, save_steps=steps, seed=seed)
    settings = AdaptSettings(method="full", train=schedule, **choice)
    with tempfile.TemporaryDirectory() as folder:
        metrics = adapt(corpus, EMBEDDED, Path(folder) / "encoder", settings=settings)
    last = metrics.history[-1]
    return {"accuracy": last.accuracy, "loss": last.loss, "tokens_per_s": metrics.tokens_per_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="made by `trialtune corpus build`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--steps", type=int, default=300, help="of 16 blocks")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in CHOICES}
    for seed in range(1, options.seeds + 1):  # in turns, so that noise on the machine affects all alike
        for name, choice in CHOICES.items():
            measured[name].append(measure(options.corpus, choice, steps=options.steps, seed=seed))
    table = Table("choice", "held-out loss", "accuracy", "tokens/s", box=box.MARKDOWN)
    rows = []
    for name, results in measured.items():
        row = {key: statistics.mean(result[key] for result in results) for key in results[0]}
        losses = [result["loss"] for result in results]
        rows.append({"name": name, **row, "loss_spread": max(losses) - min(losses)})
        loss = f"{row['loss']:.3f} ±{rows[-1]['loss_spread'] / 2:.3f}"
        table.add_row(name, loss, f"{row['accuracy']:.3f}", f"{row['tokens_per_s']:,.0f}")
    console = Console(width=110)
    console.print(table)
    console.print(f"means of {options.seeds} seeds, {options.steps} steps; {machine().cpu}")
    if options.json:
        options.json.write_text(
            json.dumps({"rows": rows, "machine": machine().model_dump()}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
