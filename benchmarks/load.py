"""Lightweight HTTP/1.1 clients, to leave the machine to the server under load."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

TOLERANCE = 0.02  # of a probability: bfloat16 rounding depends on the batch; int8 does not
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_GONE = (ConnectionError, asyncio.IncompleteReadError)


class Ask(NamedTuple):
    """A request, the texts in it (places among all), and its expected status."""

    body: bytes
    places: range
    status: int = 200


Judge = Callable[[Ask, bytes], float]  # the largest error of an answer's probabilities


@dataclass
class Tally:
    """The outcomes of the requests."""

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)  # s, of each request that got its status
    texts: int = 0  # answered correctly
    refused: int = 0  # malformed requests that got their 4xx
    errors: int = 0  # another status than expected, or none
    wrong: int = 0  # an answer that is not that of its texts
    largest: float = 0.0  # difference of a probability from the offline one
    unread: int = 0  # sent when the server had stopped

    @property
    def requests(self) -> int:
        return len(self.waits)

    def compare(self, texts: int, error: float) -> None:
        """Count an answer whose probabilities are at most `error` off."""
        self.largest = max(self.largest, error)
        if error > TOLERANCE:
            self.wrong += 1
        else:
            self.texts += texts

    def wait(self, percent: float) -> float:
        """A percentile of the waits, in milliseconds."""
        return 1000 * float(np.percentile(self.waits, percent)) if self.waits else float("nan")


class Client:
    """One keep-alive connection to 127.0.0.1."""

    def __init__(self, port: int, path: str) -> None:
        self._head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        self._port = port
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; raises an error of `_GONE` when there is none."""
        if self._pair is None:
            self._pair = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._pair
        try:
            writer.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
        except BaseException:
            self.close()
            raise
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        if self._pair:
            self._pair[1].close()
        self._pair = None


async def drive(
    port: int,
    path: str,
    asks: Iterator[Ask],
    judge: Judge,
    *,
    clients: int,
    seconds: float,
    stopping: asyncio.Event | None = None,
) -> Tally:
    """Send `asks`, each client one after the other, until they end, `seconds` are over or the server is gone.

    Once `stopping` is set, a connection that ends without an answer is no error.
    """
    tally, began = Tally(), time.perf_counter()

    async def one(client: Client) -> None:
        for ask in asks:
            sent = time.perf_counter()
            if sent - began > seconds:
                break
            try:
                status, body = await client.ask(ask.body)
            except _GONE:
                if stopping and stopping.is_set():
                    tally.unread += 1
                    break
                tally.errors += 1
                continue
            if status != ask.status:
                tally.errors += 1
                continue
            tally.waits.append(time.perf_counter() - sent)
            if status == 200:
                tally.compare(len(ask.places), judge(ask, body))
            else:
                tally.refused += 1
        client.close()

    await asyncio.gather(*(one(Client(port, path)) for _ in range(clients)))
    tally.seconds = time.perf_counter() - began
    return tally
