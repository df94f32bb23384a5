"""Addresses of Hub files, data sets by their names; what cannot be fetched is explained."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
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


@pytest.fixture
def hub(hub_server) -> Iterator[str]:
    """The address of a Hub with the data set owner/trials."""
    with hub_server.serving() as served:
        served.datasets["owner/trials"] = hub_server.Repository(files=FILES)
        yield served.url


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
        "owner/others: no such file or folder here; it cannot be fetched from the Hugging Face Hub"
        in missing.stderr
    )


def test_a_list_of_ids_may_lie_there(tmp_path: Path, hub: str) -> None:
    code = "import sys; from pathlib import Path; from trialtune.registry.readers.id_list import read_ids; "
    code += "print(read_ids(Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", code, "hf://datasets/owner/trials/data/train.parquet"],
        env={**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ids=('NCT00000001',)" in done.stdout, done.stderr
