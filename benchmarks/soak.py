"""`trialtune serve` for minutes under load, with some malformed requests and a SIGTERM at the end.

The texts are real stop reasons, drawn at random; every answer is compared with the classifier's
own, computed offline. One request in a hundred is malformed and must get its 4xx. At the end the
server is stopped while all clients are sending: what its log counts as read must have been
answered, and all those answers must have arrived. It caches 5,000 answers, so that both its cache and
its model are used: python benchmarks/soak.py CLASSIFIER_DIR [--minutes 10] [--clients 64] [--json FILE]
Exits 1 when anything was lost, wrong, or failed.
"""

import argparse
import asyncio
import itertools
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from load import Ask, Tally, drive
from rich.console import Console
from serve import Offline, real_texts
from services import Running, Service, running, trialtune

_MALFORMED = (
    (b"{", 400),
    (b'{"texts": ["\xff"]}', 400),
    (b'{"texts": []}', 422),
    (b'{"texts": [3]}', 422),
    (b'{"texts": ["a"], "tusks": 1}', 422),
    (b'{"texts": ["a"], "tasks": ["weather"]}', 404),
    (json.dumps({"texts": ["a"] * 257}).encode(), 422),
    (b" " * 8_000_001, 413),
)


def requests(service: Service, texts: Sequence[str], size: int, seed: int = 13) -> Iterator[Ask]:
    """Endless requests, one in a hundred malformed."""
    draw = random.Random(seed)
    for number in itertools.count(1):
        if number % 100 == 0:
            body, status = draw.choice(_MALFORMED)
            yield Ask(body, range(0), status)
        else:
            start = draw.randrange(len(texts) - size)
            places = range(start, start + size)
            yield Ask(service.ask(texts[places.start : places.stop]), places)


async def soak(
    server: Running, service: Service, offline: Offline, asks: Iterator[Ask], *, clients: int, seconds: float
) -> tuple[Tally, list[float]]:
    """The clients' tally, and the server's memory every second (MiB) until it is stopped."""
    stopping, resident = asyncio.Event(), []
    driving = asyncio.ensure_future(
        drive(
            server.port,
            service.path,
            asks,
            offline.judge(service),
            clients=clients,
            seconds=seconds + 60,
            stopping=stopping,
        )
    )
    until = time.monotonic() + seconds
    while time.monotonic() < until and not driving.done():
        resident.append(server.resident())
        await asyncio.sleep(1)
    stopping.set()
    server.process.send_signal(signal.SIGTERM)
    return await driving, resident


def logged(path: Path) -> Counter[int]:
    """Statuses in the server's log."""
    lines = (json.loads(line) for line in path.read_text().splitlines() if line.startswith("{"))
    return Counter(line["status"] for line in lines if line["event"] == "request")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("classifier", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--size", type=int, default=4, help="texts per request")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    texts = real_texts(chosen.data, chosen.classifier)
    offline = Offline(chosen.classifier, texts)
    service = trialtune(chosen.classifier, "--remember", "5000")
    asks = requests(service, texts, chosen.size)
    with running(service) as server:
        tally, resident = asyncio.run(
            soak(server, service, offline, asks, clients=chosen.clients, seconds=60 * chosen.minutes)
        )
        code = server.process.wait(60)
        statuses = logged(server.log)
    row = report(tally, resident, statuses, code)
    Console(highlight=False).print(row)
    if chosen.json:
        chosen.json.write_text(json.dumps(row, indent=2) + "\n")
    sys.exit(int(any(row[name] for name in ("wrong", "errors", "lost")) or code != -signal.SIGTERM))


def report(tally: Tally, resident: Sequence[float], statuses: Counter[int], code: int) -> dict[str, Any]:
    """What happened, in one row."""
    answered = statuses.total() - 1  # the first was the warm-up's
    return {
        "seconds": tally.seconds,
        "requests": tally.requests + tally.errors + tally.unread,
        "answered": tally.requests - tally.refused,
        "texts": tally.texts,
        "texts_per_s": tally.texts / tally.seconds,
        "refused_rightly": tally.refused,
        "wrong": tally.wrong,
        "largest_difference": tally.largest,
        "errors": tally.errors,
        "lost": abs(answered - tally.requests - tally.errors),
        "unread_at_stop": tally.unread,
        "server_statuses": dict(sorted(statuses.items())),
        "p50_ms": tally.wait(50),
        "p99_ms": tally.wait(99),
        "resident_start_mb": resident[0],
        "resident_warm_mb": resident[len(resident) // 5],
        "resident_end_mb": resident[-1],
        "resident_most_mb": max(resident),
        "exit_code": int(code),
    }


if __name__ == "__main__":
    main()
