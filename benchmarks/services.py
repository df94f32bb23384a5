"""The servers that are compared, each in a separate process, with its own request format."""

import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from pydantic_core import from_json, to_json

_PATIENCE = 180  # s, to load a model

Scores = list[dict[str, float]]  # probabilities by label, text by text


@dataclass(frozen=True)
class Service:
    """How a server is started, queried and parsed."""

    name: str
    command: tuple[str, ...]  # {port} is put in
    path: str
    ask: Callable[[Sequence[str]], bytes]
    read: Callable[[bytes], Scores]
    calibrated: bool = False  # whether it applies the classifier's decision.json


def trialtune(folder: Path, *options: str) -> Service:
    """`trialtune serve` over one classifier of any kind."""
    kind = "onnx" if (folder / "model.onnx").exists() else "torch"
    command = (sys.executable, "-m", "trialtune", "serve", str(folder), "--port", "{port}", *options)

    def read(body: bytes) -> Scores:
        [rows] = from_json(body)["results"].values()
        return [row["probabilities"] for row in rows]

    return Service(f"trialtune-{kind}", command, "/v1/predict", _ask("texts"), read, calibrated=True)


def naive(folder: Path) -> Service:
    """FastAPI over a `transformers` pipeline, the naive way."""
    command = (sys.executable, str(Path(__file__).with_name("naive.py")), str(folder), "{port}")
    return Service("pipeline", command, "/predict", _ask("texts"), lambda body: _scores(from_json(body)))


def infinity(program: Path, folder: Path) -> Service:
    """infinity-emb from a separate environment."""
    options = ("--device", "cpu", "--no-bettertransformer", "--no-model-warmup", "--url-prefix", "")
    where = ("--host", "127.0.0.1", "--port", "{port}", "--log-level", "error")
    command = (str(program), "v2", "--model-id", str(folder), *options, *where)
    name = str(folder).rstrip("/").split("/")[-1]

    def ask(texts: Sequence[str]) -> bytes:
        return to_json({"input": texts, "model": "/".join(folder.parts[-2:]) or name})

    return Service("infinity-emb", command, "/classify", ask, lambda body: _scores(from_json(body)["data"]))


@dataclass(frozen=True)
class Running:
    """A server at work."""

    port: int
    process: psutil.Popen
    log: Path

    def cpu(self) -> float:
        """CPU seconds so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def resident(self) -> float:
        """Memory in MiB."""
        return float(self.process.memory_info().rss / 2**20)


@contextmanager
def running(service: Service) -> Iterator[Running]:
    """The service on a free port, once it has answered a request; stopped at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [part.replace("{port}", str(port)) for part in service.command]
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        with log.open("w") as written:
            process = psutil.Popen(command, stdout=written, stderr=written, env={**os.environ, **_QUIET})
        try:
            _await(service, port, process, log)
            yield Running(port, process, log)
        finally:
            if process.is_running():
                process.send_signal(signal.SIGTERM)
            process.wait(60)


_QUIET = {"HF_HUB_OFFLINE": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0", "DO_NOT_TRACK": "1"}


def _await(service: Service, port: int, process: Any, log: Path) -> None:
    until, said = time.monotonic() + _PATIENCE, ""
    headers = {"Content-Type": "application/json"}
    while time.monotonic() < until and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            reply = httpx.post(
                f"http://127.0.0.1:{port}{service.path}",
                content=service.ask(["warm-up"]),
                headers=headers,
                timeout=_PATIENCE,
            )
        except httpx.TransportError as error:
            said = str(error)
        else:
            if reply.status_code == 200:
                return
            said = reply.text
        time.sleep(0.5)
    raise SystemExit(f"{service.name} does not serve: {said}\n{log.read_text()[-2000:]}")


def _ask(field: str) -> Callable[[Sequence[str]], bytes]:
    return lambda texts: to_json({field: texts})


def _scores(rows: Sequence[Sequence[dict[str, Any]]]) -> Scores:
    return [{one["label"]: one["score"] for one in row} for row in rows]
