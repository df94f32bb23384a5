"""Throughput and latency of `trialtune serve` against other servers of the same weights.

The texts are the real stop reasons of stop_reasons_silver.parquet, all rows in their order,
repeats included. Each client sends one request after the other over one kept connection, `--size`
texts in each; a row ends when all texts are answered or after `--seconds`. Every answer is compared
with the classifier's own, computed offline; `of offline` is the rate against
`Classifier.raw_probabilities` over the same folder, given all texts at once: the mean of a run before
the row and one after it. Run it on an otherwise idle machine (the clients share it with the
server: see `client CPU`):
python benchmarks/serve.py --classifier TORCH_DIR [ONNX_DIR] [--infinity PATH/TO/infinity_emb] [--json FILE]
The plain servers are given the first folder that PyTorch reads.
"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import psutil
from load import Ask, Judge, Tally, drive
from rich import box
from rich.console import Console
from rich.table import Table
from services import Service, infinity, naive, running, trialtune
from turns import print_machine

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.named import open_folder


class Pace(NamedTuple):
    """Of scoring."""

    texts_per_s: float
    cpu_ms: float  # a text

    def mean(self, other: "Pace") -> "Pace":
        return Pace((self.texts_per_s + other.texts_per_s) / 2, (self.cpu_ms + other.cpu_ms) / 2)


class Offline:
    """A classifier scoring offline."""

    def __init__(self, folder: Path, texts: Sequence[str]) -> None:
        self._classifier = Classifier.from_pretrained(folder)
        self._texts = texts
        self._raw = self._classifier.raw_probabilities(texts)  # [texts, labels]
        self._calibrated = self._classifier.decision.calibrate(self._raw)

    def time(self) -> Pace:
        """How fast it is now."""
        began, used = time.perf_counter(), time.process_time()
        self._classifier.raw_probabilities(self._texts)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        return Pace(len(self._texts) / seconds, 1000 * used / len(self._texts))

    def judge(self, service: Service) -> Judge:
        """Compares an answer of the service with ours."""
        right = self._calibrated if service.calibrated else self._raw
        labels = self._classifier.labels

        def error(ask: Ask, body: bytes) -> float:
            scores = service.read(body)
            if len(scores) != len(ask.places):
                return float("inf")
            found = np.array([[row.get(label, np.inf) for label in labels] for row in scores])
            return float(np.abs(found - right[ask.places.start : ask.places.stop]).max())

        return error


def real_texts(data: Path, folder: Path) -> list[str]:
    """The reasons, normalized by the task."""
    task = open_folder(folder).task
    rows = pl.read_parquet(data / "stop_reasons_silver.parquet")["text"].drop_nulls()
    cleaned = (task.text_of({"text": text}) for text in rows)
    return [text for text in cleaned if text]


def requests(service: Service, texts: Sequence[str], size: int) -> Iterator[Ask]:
    """All texts, `size` a request."""
    for start in range(0, len(texts), size):
        places = range(start, min(start + size, len(texts)))
        yield Ask(service.ask(texts[places.start : places.stop]), places)


def measure(
    service: Service, offline: Offline, texts: Sequence[str], *, clients: int, size: int, seconds: float
) -> dict[str, Any]:
    """One row: a new server, under load from `clients`."""
    earlier = offline.time()
    asks = list(requests(service, texts, size))
    with running(service) as server:
        before, mine = server.cpu(), time.process_time()
        tally: Tally = asyncio.run(
            drive(
                server.port,
                service.path,
                iter(asks),
                offline.judge(service),
                clients=clients,
                seconds=seconds,
            )
        )
        used, mine = server.cpu() - before, time.process_time() - mine
        resident = server.resident()
    alone = earlier.mean(offline.time())
    rate = tally.texts / tally.seconds
    return {
        "name": service.name,
        "clients": clients,
        "texts_a_request": size,
        "texts": tally.texts,
        "texts_per_s": rate,
        "requests_per_s": tally.requests / tally.seconds,
        "p50_ms": tally.wait(50),
        "p99_ms": tally.wait(99),
        "errors": tally.errors,
        "wrong": tally.wrong,
        "largest_difference": tally.largest,
        "of_offline": rate / alone.texts_per_s,
        "offline_texts_per_s": alone.texts_per_s,
        "cpu_ms_per_text": 1000 * used / max(1, tally.texts),
        "offline_cpu_ms_per_text": alone.cpu_ms,
        "server_cpu": used / tally.seconds,
        "client_cpu": mine / tally.seconds,
        "resident_mb": resident,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--classifier", type=Path, nargs="+", required=True)
    parser.add_argument("--infinity", type=Path, help="its program; it needs older libraries than ours")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--size", type=int, nargs="+", default=[32], help="texts per request")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", nargs="+", help="names of services")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    console = Console(highlight=False, width=200)
    texts = real_texts(chosen.data, chosen.classifier[0])
    services = [(folder, trialtune(folder)) for folder in chosen.classifier]
    for folder, service in list(services):
        if service.name == "trialtune-torch":
            others = [naive(folder), *([infinity(chosen.infinity, folder)] if chosen.infinity else [])]
            services += [(folder, other) for other in others]
            break
    busiest = psutil.cpu_percent(interval=2.0)
    offline: dict[Path, Offline] = {}
    rows = []
    for folder, service in services:
        if chosen.only and service.name not in chosen.only:
            continue
        if folder not in offline:
            offline[folder] = Offline(folder, texts)
        for size, clients in itertools.product(chosen.size, chosen.clients):
            limits = {"clients": clients, "size": size, "seconds": chosen.seconds}
            rows.append(measure(service, offline[folder], texts, **limits))
            console.print(rows[-1], style="dim")
            busiest = max(busiest, psutil.cpu_percent(interval=1.0))
    show(console, rows)
    print_machine(console, busiest)
    if chosen.json:
        chosen.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")


def show(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    table = Table(box=box.MARKDOWN)
    headers = (
        "server",
        "clients",
        "texts each",
        "texts/s",
        "of offline",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "errors",
        "wrong",
    )
    for header in (*headers, "CPU ms/text", "offline", "server CPU", "client CPU", "MiB"):
        table.add_column(header, justify="left" if header == "server" else "right")
    for row in rows:
        table.add_row(
            row["name"],
            str(row["clients"]),
            str(row["texts_a_request"]),
            f"{row['texts_per_s']:,.0f}",
            f"{row['of_offline']:.2f}",
            f"{row['requests_per_s']:,.0f}",
            f"{row['p50_ms']:,.0f}",
            f"{row['p99_ms']:,.0f}",
            str(row["errors"]),
            str(row["wrong"]),
            f"{row['cpu_ms_per_text']:.2f}",
            f"{row['offline_cpu_ms_per_text']:.2f}",
            f"{100 * row['server_cpu']:.0f}%",
            f"{100 * row['client_cpu']:.0f}%",
            f"{row['resident_mb']:,.0f}",
        )
    console.print(table)
    console.print("CPU ms/text is the server's, `offline` that of scoring alone; 100% CPU is one core.")


if __name__ == "__main__":
    main()
