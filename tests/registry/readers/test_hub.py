"""Addresses of Hub files, data sets by their names; what cannot be fetched is explained."""

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from trialtune.dataset.tables import read_table
from trialtune.errors import DataError, UsageError
from trialtune.registry.readers.hub import dataset_of, fetch, is_hub_file
from trialtune.registry.readers.source import read_rows
from trialtune.registry.snapshot.read import read_snapshot, snapshot_metadata

ADDRESS = "hf://datasets/opentargets/clinical_trial_reason_to_stop/data.json"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


def test_only_the_hub_s_addresses_are_of_the_hub() -> None:
    assert is_hub_file(ADDRESS) and is_hub_file(Path(ADDRESS))
    assert not is_hub_file("data.json") and not is_hub_file(Path("/hf/data.json"))


@pytest.mark.parametrize("address", [ADDRESS, Path(ADDRESS)])
def test_a_hub_out_of_reach_is_explained(address) -> None:
    with pytest.raises(DataError, match=f"{ADDRESS}: not in the cache, and the Hugging Face Hub"):
        read_table(address)


@pytest.mark.parametrize("address", ["hf://spaces/a/b/c.csv", "hf://datasets/owner/file.csv"])
def test_a_malformed_address_is_explained(address) -> None:
    with pytest.raises(UsageError, match="hf://datasets/OWNER/NAME/FILE"):
        fetch(address)


def test_data_sets_have_an_owner_and_a_name() -> None:
    assert dataset_of("owner/some.name-1") == "owner/some.name-1"
    assert dataset_of(Path("hf://datasets/owner/name")) == "owner/name"
    for path in ("name", "a/b/c", "./a", "/a/b", "a/../b", "a b/c"):
        assert dataset_of(path) is None


def test_neither_a_file_nor_in_reach_of_the_hub() -> None:
    with pytest.raises(DataError, match="owner/name: no such file or folder here; not in the cache"):
        list(read_rows(Path("owner/name")))


def _parquet(**columns: list[str]) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(columns).write_parquet(stream)
    return stream.getvalue()


FILES = {
    "README.md": b"notes",
    "data/test.parquet": _parquet(trial_id=["NCT00000003", "nct00000004 "], text=["more words", "and more"]),
    "data/train.parquet": _parquet(trial_id=["NCT00000001", "NCT1"], text=["words", "lost"]),
}
REVISION = "c" * 40


class _Hub(BaseHTTPRequestHandler):
    """As much of the Hub as downloading the data set owner/trials takes."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        about = [{"rfilename": name} for name in FILES]
        tree = [
            {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for name, content in FILES.items()
        ]
        name = path.removeprefix(f"/datasets/owner/trials/resolve/{REVISION}/")
        if path in ("/api/datasets/owner/trials/revision/main", "/api/datasets/owner/trials"):
            info = {"id": "owner/trials", "sha": REVISION, "siblings": about}
            self._send(json.dumps(info).encode(), body=body)
        elif path.startswith("/api/datasets/owner/trials/tree/"):
            self._send(json.dumps(tree).encode(), body=body)
        elif name in FILES:
            self._send(FILES[name], body=body)
        else:
            self._send(b"{}", body=body, status=404)

    def _send(self, content: bytes, *, body: bool, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_data_set_is_imported_by_its_name(tmp_path: Path, hub: str) -> None:
    # The client reads its settings once, when it is imported: hence another process.
    settings = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}

    def run(dataset: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "trialtune", "registry", "import", dataset, "--out", "snap.parquet"]
        return subprocess.run(
            [*command, "--json"],
            cwd=tmp_path,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    done = run("owner/trials")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["kept"], summary["reasons"]) == (3, {"bad NCT id": 1})
    frame = read_snapshot(tmp_path / "snap.parquet")
    assert frame["nct_id"].to_list() == ["NCT00000003", "NCT00000004", "NCT00000001"]
    assert frame["text"].to_list() == ["more words", "and more", "words"]
    assert snapshot_metadata(tmp_path / "snap.parquet")["source"] == "owner/trials"
    missing = run("owner/others")
    assert missing.returncode == 1
    assert (
        "owner/others: no such file or folder here; the Hugging Face Hub does not give it" in missing.stderr
    )
