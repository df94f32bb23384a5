"""Classifier folders with random answers, and the service over them on a real socket."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from trialtune.evaluation.decision import Decision
from trialtune.server.app import ServiceSettings, build_app
from trialtune.server.run import bind, make_server
from trialtune.tasks.catalog import load_task


@pytest.fixture(scope="session")
def classifiers(make_classifier, tmp_path_factory) -> list[Path]:
    """Folders of a classifier of stop reasons and one of sex eligibility."""
    folders = []
    for name in ("stop-reasons", "sex"):
        task = load_task(name)
        cuts = np.random.default_rng(0).uniform(0.2, 0.5, len(task.labels))
        thresholds = tuple(cuts.tolist()) if task.kind == "multi_label" else ()
        rule = Decision(task.kind, tuple(task.labels), thresholds, review_below=0.9)
        folders.append(make_classifier(task, tmp_path_factory.mktemp("classifier") / name, decision=rule))
    return folders


@contextmanager
def _serving(folders: list[Path], token: str | None = None, **limits: Any) -> Iterator[Any]:
    app = build_app(folders, ServiceSettings(**limits), token=token)
    server = make_server(app, timeout=limits.get("timeout", 5))
    with bind("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
            client.app, client.server = app, server  # type: ignore[attr-defined]
            yield client
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """`with serving(folders, token=None, **limits) as client`: a real server, and a client of it."""
    return _serving


@pytest.fixture(scope="session")
def service(classifiers) -> Iterator[Any]:
    """A client of a running service over both classifiers."""
    with _serving(classifiers) as client:
        yield client
