"""Attention forward and backward, in milliseconds: torch's fused kernel against plain matrix products.

On a CPU this decides which one `models/speed.py` chooses, and up to which length.
Run it on an otherwise idle machine: python benchmarks/attention.py [--json FILE]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from trialtune.experiment.environment import machine
from trialtune.models.precision import autocast_type

TOKENS, HEADS, REPEATS = 2048, 12, 9
Attention = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(query, key, value)


def plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
    return scores.softmax(dim=-1) @ value


def measure(attention: Attention, length: int, size: int, dtype: torch.dtype) -> tuple[float, float]:
    """Median milliseconds of forward and backward, for TOKENS tokens in sequences of `length`."""
    forward, backward = [], []
    for _ in range(REPEATS):
        states = [
            torch.randn(TOKENS // length, length, HEADS * size, dtype=dtype, requires_grad=True)
            for _ in range(3)
        ]
        started = time.perf_counter()
        heads = (state.view(-1, length, HEADS, size).transpose(1, 2) for state in states)
        output = attention(*heads).transpose(1, 2).reshape(-1, length, HEADS * size)
        ended = time.perf_counter()
        output.backward(torch.ones_like(output))
        forward.append(ended - started)
        backward.append(time.perf_counter() - ended)
    return 1000 * statistics.median(forward), 1000 * statistics.median(backward)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    options = parser.parse_args()
    dtype = autocast_type("auto", torch.device("cpu")) or torch.float32
    rows: list[dict[str, Any]] = []
    table = Table("length", "head size", "fused", "backward", "plain", "backward", box=box.MARKDOWN)
    for length in (32, 128, 256, 512, 1024, 2048):
        for size in (32, 64):
            row: dict[str, Any] = {"length": length, "head_size": size}
            for name, attention in (("fused", fused), ("plain", plain)):
                row[name], row[f"{name}_backward"] = measure(attention, length, size, dtype)
            rows.append(row)
            table.add_row(str(length), str(size), *(f"{value:.1f}" for value in list(row.values())[2:]))
    console = Console(width=110)
    console.print(table)
    here = machine().model_dump()
    console.print(f"{TOKENS} tokens, {HEADS} heads, {dtype}; {here['cpu']}, torch {torch.__version__}")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "machine": here}, indent=2) + "\n")


if __name__ == "__main__":
    main()
