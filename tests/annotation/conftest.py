"""A task of one's own, texts for it, and `trialtune annotate` as a process of its own."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import polars as pl
import pytest

from trialtune.annotation.labels_file import LabelsFile
from trialtune.annotation.pool import Pool, disagreements
from trialtune.annotation.session import Session
from trialtune.annotation.settings import DrawSettings
from trialtune.server.annotate import build_annotate_app
from trialtune.server.run import bind, make_server
from trialtune.tasks.catalog import task_from_spec
from trialtune.tasks.spec import TaskSpec
from trialtune.tasks.task import Task

LABELS = {"money": "Funding ran out.", "people": "Too few joined.", "safety": "It did harm."}
STEMS = {
    "money": "the sponsor ended funding number {}",
    "people": "slow recruitment of patients at site {}",
    "safety": "toxicity was seen in cohort {}",
}
NAMES = ["money", "people", "money", "people", "money", "safety"]


def _task(kind: str) -> Task:
    return task_from_spec(TaskSpec(name="own", kind=kind, labels=LABELS))


@pytest.fixture
def task() -> Task:
    """Three labels, several of which may hold."""
    return _task("multi_label")


@pytest.fixture
def one_of_many() -> Task:
    """The same labels, of which one holds."""
    return _task("multi_class")


def _label_of(text: str) -> str:
    return next(label for label, stem in STEMS.items() if text.startswith(stem.split(" {")[0]))


@pytest.fixture
def label_of() -> Callable[[str], str]:
    """The right label of a text of the pool."""
    return _label_of


@pytest.fixture
def pool_file(tmp_path) -> Callable[..., Path]:
    """Writes a table: `pool_file(rows, **columns)`; half its texts are about money, a third about people."""

    def write(rows: int = 60, **columns: Any) -> Path:
        table = {
            "nct_id": [f"NCT{row:08}" for row in range(rows)],
            "brief_title": [f"Trial {row}" for row in range(rows)],
            "text": [STEMS[NAMES[row % 6]].format(row) for row in range(rows)],
        }
        pl.DataFrame(table | columns).write_csv(tmp_path / "pool.csv")
        return tmp_path / "pool.csv"

    return write


@pytest.fixture
def labelling(tmp_path) -> Callable[..., Any]:
    """`with labelling(task, pool, annotator="Ada", **settings) as running`: the page, from this process."""

    @contextmanager
    def run(task: Task, pool: Pool | None, *, annotator: str = "Ada", **settings: Any) -> Iterator[Any]:
        out = tmp_path / "labels.csv"
        file = LabelsFile(out, task, passed=tuple(pool.passed) if pool else ())
        pool, drawing = pool or disagreements(file.answers), DrawSettings(**settings)
        session = Session(task, pool, file, annotator=annotator, settings=drawing)
        server = make_server(build_annotate_app(session, suggest=False), timeout=5)
        with bind("127.0.0.1", 0) as listening:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            yield SimpleNamespace(address=f"http://127.0.0.1:{listening.getsockname()[1]}", out=out)
            server.should_exit = True
            thread.join(20)
            file.close()

    return run


@pytest.fixture
def annotating(tmp_path, pool_file) -> Callable[..., Any]:
    """`with annotating(*options, port=0) as running`: the command in a process of its own."""

    @contextmanager
    def run(*options: str, port: int = 0, **more: Any) -> Iterator[Any]:
        (tmp_path / "own.yaml").write_text(
            json.dumps({"name": "own", "kind": "multi_label", "labels": LABELS})
        )
        out, port, log = tmp_path / "labels.csv", port or _free_port(), tmp_path / "log.txt"
        given = [str(tmp_path / "own.yaml"), "--data", str(pool_file(300)), "--out", str(out)]
        command = [sys.executable, "-m", "trialtune", "annotate", *given, "--annotator", "Ada"]
        with log.open("ab") as told:
            process = subprocess.Popen(
                [*command, "--port", str(port), *options], stdout=told, stderr=told, **more
            )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(process, address, log)
            yield SimpleNamespace(process=process, address=address, out=out, port=port)
        finally:
            process.terminate()
            process.wait(20)

    return run


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(f"{address}/v1/session")
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
