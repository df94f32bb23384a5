"""The stand-in registry that a user can leave running, as the how-to guide uses it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trialtune.registry.diff import diff_snapshots
from trialtune.registry.settings import SyncRequest, SyncSettings
from trialtune.registry.sync.run import sync

DEMO = [sys.executable, str(Path(__file__).parents[3] / "tools" / "registry_demo.py")]


@pytest.fixture
def url(registry_server, tmp_path):
    data = tmp_path / "studies.jsonl"
    data.write_text("\n".join(map(json.dumps, registry_server.made_up_studies(40))))
    with subprocess.Popen([*DEMO, "--serve", "--data", data], stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().split()[-1]
        process.terminate()


def test_a_stand_in_that_serves_can_be_changed_and_synced_again(url, tmp_path):
    out, settings = tmp_path / "practice", SyncSettings(rate=0)
    assert sync(out, SyncRequest(base_url=url), settings).total == 40
    before = (out / "snapshot.parquet").rename(tmp_path / "before.parquet")
    (out / "snapshot.parquet").write_bytes(before.read_bytes())
    subprocess.run([*DEMO, "--change", url], check=True, stdout=subprocess.DEVNULL)
    updated = sync(out, SyncRequest(base_url=url), settings)
    found = diff_snapshots(out / "snapshot.parquet", before, tmp_path / "changes")
    assert (found.new, found.changed, found.removed) == (updated.new, updated.changed, updated.removed)
    assert (found.new, found.changed, found.removed) == (1, 3, 3)
