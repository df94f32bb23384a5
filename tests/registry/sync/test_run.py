"""Syncing: whole, broken off, continued, brought up to date, and in the face of a registry's faults."""

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from trialtune.errors import DataError
from trialtune.files import sha256_of
from trialtune.registry.diff import diff_snapshots
from trialtune.registry.record.schema import GROUP_COLUMNS, LIST_COLUMNS, SNAPSHOT_SCHEMA
from trialtune.registry.settings import MergeSettings, SyncRequest, SyncSettings
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.snapshot.read import read_snapshot, snapshot_metadata
from trialtune.registry.sync.merge import SYNC_SCHEMA
from trialtune.registry.sync.run import sync

FAST = SyncSettings(rate=0, backoff=0.005, attempts=5, timeout=5, page_size=25)
BIG = FAST.model_copy(update={"page_size": 1000})


@pytest.fixture(scope="module")
def studies(registry_server):
    return registry_server.made_up_studies(240)


@pytest.fixture
def served(registry_server, studies):
    with registry_server.serving(copy.deepcopy(studies)) as (url, registry):
        yield url, registry


@pytest.fixture
def order(registry_server, served):
    return lambda **orders: served[1].obey(registry_server.Order(**orders))


def id_of(study) -> str:
    return study["protocolSection"]["identificationModule"]["nctId"]


def changed(study, day: str, **description: str):
    study = copy.deepcopy(study)
    protocol = study["protocolSection"]
    protocol["statusModule"]["lastUpdatePostDateStruct"] = {"date": day}
    protocol.setdefault("descriptionModule", {}).update(description)
    return study


def renamed(study, nct_id: str):
    study = copy.deepcopy(study)
    study["protocolSection"]["identificationModule"]["nctId"] = nct_id
    return study


def removed(out: Path) -> list[tuple]:
    return pl.read_parquet(out / "removed.parquet").rows()


def quarantine(out: Path) -> list[dict]:
    file = out / "snapshot.quarantine.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_sync_holds_what_an_import_holds(served, studies, tmp_path):
    summary = sync(tmp_path / "sync", SyncRequest(base_url=served[0]), FAST)
    assert (summary.total, summary.read, summary.kept, summary.new, summary.quarantined) == (
        240,
        240,
        240,
        240,
        0,
    )
    rows = read_snapshot(tmp_path / "sync")
    assert rows["nct_id"].to_list() == sorted(map(id_of, studies))
    assert rows.columns == SYNC_SCHEMA.names
    assert set(rows["first_seen"]) == set(rows["last_changed"]) == {summary.data_timestamp[:10]}
    assert snapshot_metadata(tmp_path / "sync")["data_timestamp"] == summary.data_timestamp

    source = tmp_path / "studies.jsonl"
    source.write_text("\n".join(map(json.dumps, studies)), encoding="utf-8")
    import_trials(source, tmp_path / "import.parquet")
    diff = diff_snapshots(tmp_path / "sync", tmp_path / "import.parquet", tmp_path / "diff")
    assert (diff.new, diff.changed, diff.removed) == (0, 0, 0)
    assert list((tmp_path / "sync" / "parts").glob("*")) == []


def test_real_records(registry_server, shared_data, tmp_path):
    real = registry_server.read_studies(shared_data / "registry_v2_studies.jsonl.gz")
    faults = ["429", "500", "cut", "half", "html", "expire", "drop"]
    with registry_server.serving(real, faults, every=7) as (url, _):
        summary = sync(
            tmp_path / "sync", SyncRequest(base_url=url), FAST.model_copy(update={"page_size": 200})
        )
    assert summary.total == summary.read == len(real)
    import_trials(shared_data / "registry_v2_studies.jsonl.gz", tmp_path / "import.parquet")
    said = [name for name in SNAPSHOT_SCHEMA.names if name not in {"source", "data_timestamp"}]
    both = [
        pl.read_parquet(file, columns=said).sort("nct_id")
        for file in (tmp_path / "sync" / "snapshot.parquet", tmp_path / "import.parquet")
    ]
    assert [name for name in said if not both[0][name].equals(both[1][name])] == []
    for name in GROUP_COLUMNS:
        filled = both[0][name].list.len() > 0 if name in LIST_COLUMNS else both[0][name].is_not_null()
        assert name == "nct_aliases" or filled.sum() > len(real) / 10, name


def test_faults_on_every_other_request_change_nothing(registry_server, studies, served, tmp_path):
    sync(tmp_path / "calm", SyncRequest(base_url=served[0]), FAST)
    served[1].faults, served[1].every = ["429", "500", "cut", "html", "half", "drop", "503"], 2
    summary = sync(tmp_path / "rough", SyncRequest(base_url=served[0]), FAST)
    assert summary.retries >= 10
    assert sha256_of(tmp_path / "rough/snapshot.parquet") == sha256_of(tmp_path / "calm/snapshot.parquet")


def test_killed_anywhere_and_continued_gives_the_same_bytes(served, tmp_path):
    url, registry = served
    sync(tmp_path / "whole", SyncRequest(base_url=url), FAST)
    registry.log.clear()
    program = (
        "import sys; from pathlib import Path; from trialtune.registry.sync.run import sync;"
        "from trialtune.registry.settings import SyncRequest, SyncSettings;"
        "sync(Path(sys.argv[1]), SyncRequest(base_url=sys.argv[2]), SyncSettings(rate=25, page_size=25))"
    )
    out = tmp_path / "killed"
    for pages in (2, 5):
        process = subprocess.Popen([sys.executable, "-c", program, str(out), url])
        while process.poll() is None and len(list(out.glob("parts/0*.parquet"))) < pages:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (out / "snapshot.parquet").exists()
    (out / "parts" / ".half.tmp.parquet").write_bytes(b"PAR1")
    summary = sync(out, SyncRequest(base_url=url), FAST)
    assert (summary.read, summary.total) == (240, 240)
    assert sha256_of(out / "snapshot.parquet") == sha256_of(tmp_path / "whole" / "snapshot.parquet")
    # A kill costs one page at most.
    pages = [entry for entry in registry.log if entry["pageSize"] == "25"]
    assert len(pages) <= 10 + 2


class Killed(BaseException):
    """The moment of a kill."""


def test_stopped_at_any_rename_it_goes_on(served, order, tmp_path, studies):
    request = SyncRequest(base_url=served[0])
    sync(tmp_path / "start", request, BIG)
    order(
        timestamp="2030-01-02T09:00:05",
        put=[changed(study, "2030-01-01", briefSummary="anew") for study in studies[:60]],
        withdraw=[id_of(studies[70])],
    )

    def update(name: str, stop_at: int) -> int:
        """Update a copy, killed at one of its renames, whose number is returned."""
        shutil.copytree(tmp_path / "start", tmp_path / name)
        renames, rename = 0, Path.replace

        def counted(self, target):
            nonlocal renames
            renames += 1
            if renames == stop_at:
                raise Killed
            return rename(self, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", counted)
            with suppress(Killed):
                sync(tmp_path / name, request, FAST)
        return renames

    every = update("whole", 0)
    for stop_at in (4, every // 2, every - 3, every - 2, every - 1, every):
        name = f"stopped at {stop_at}"
        assert update(name, stop_at) == stop_at
        summary = sync(tmp_path / name, request, FAST)
        assert (summary.changed, summary.removed, summary.total) == (60, 1, 239)
        for file in ("snapshot.parquet", "removed.parquet"):
            assert sha256_of(tmp_path / name / file) == sha256_of(tmp_path / "whole" / file)


def test_an_expired_token_restarts_its_range_only(served, tmp_path):
    served[1].faults, served[1].every = ["expire"], 30
    summary = sync(
        tmp_path / "sync", SyncRequest(base_url=served[0]), FAST.model_copy(update={"page_size": 5})
    )
    assert (summary.read, summary.total, summary.quarantined) == (240, 240, 0)
    pages = [entry for entry in served[1].log if entry["pageSize"] == "5"]
    starts = sum("pageToken" not in entry for entry in pages)
    assert any(entry["fault"] == "expire" for entry in pages)
    assert 48 < len(pages) < 48 + 25 * starts


def test_many_buckets_hold_what_one_holds(served, order, studies, tmp_path):
    request = SyncRequest(base_url=served[0])

    def update() -> pl.DataFrame:
        order(
            timestamp="2030-01-02T09:00:05",
            put=[changed(study, "2030-01-01", briefSummary="anew") for study in studies[:90:3]],
            withdraw=[id_of(study) for study in studies[100:110]],
        )
        sync(tmp_path / name, request, settings)
        rows = pl.read_parquet(tmp_path / name / "snapshot.parquet")
        order(timestamp="2026-01-01T09:00:05", put=studies)
        return rows

    frames = []
    for name, rows in (("one", 10_000), ("many", 7)):
        settings = FAST.model_copy(update={"merge": MergeSettings(bucket_rows=rows, parts_at_once=3)})
        sync(tmp_path / name, request, settings)
        frames.append(pl.read_parquet(tmp_path / name / "snapshot.parquet").drop("data_timestamp"))
        frames.append(update())
    assert frames[0].drop("first_seen", "last_changed").equals(frames[2].drop("first_seen", "last_changed"))
    same = ("data_timestamp", "first_seen", "last_changed")
    assert frames[1].drop(same).equals(frames[3].drop(same))
    assert frames[3]["nct_id"].is_sorted() and frames[3].height == 230


def test_tokens_that_always_expire_end_in_a_clear_error(served, tmp_path):
    served[1].faults, served[1].every = ["expire"], 2
    with pytest.raises(DataError, match=r"page token was refused.*4 times in a row.*same command again"):
        sync(tmp_path / "sync", SyncRequest(base_url=served[0]), FAST)
    served[1].faults = []
    assert sync(tmp_path / "sync", SyncRequest(base_url=served[0]), FAST).total == 240


def test_tokens_that_expire_sooner_than_a_range_ends_narrow_it(served, tmp_path):
    served[1].faults, served[1].every = ["expire"], 12
    summary = sync(
        tmp_path / "sync", SyncRequest(base_url=served[0]), FAST.model_copy(update={"page_size": 10})
    )
    assert (summary.read, summary.total, summary.quarantined) == (240, 240, 0)


def test_a_server_that_ignores_date_ranges_is_read_once(served, tmp_path):
    served[1].knows_ranges = False
    summary = sync(
        tmp_path / "sync", SyncRequest(base_url=served[0]), FAST.model_copy(update={"page_size": 5})
    )
    assert (summary.read, summary.total, summary.quarantined) == (240, 240, 0)
    assert summary.requests < 60


def test_an_update_fetches_what_changed_and_finds_what_is_gone(
    registry_server, served, order, studies, tmp_path
):
    out, request = tmp_path / "sync", SyncRequest(base_url=served[0])
    first = sync(out, request, BIG)
    before = pl.read_parquet(out / "snapshot.parquet")
    day = first.data_timestamp[:10]
    edited, touched, silent, lost, merged, keeper = studies[:6]
    fresh = changed(studies[6], "2030-01-01")
    fresh["protocolSection"]["identificationModule"]["nctId"] = "NCT99999999"
    old = silent["protocolSection"]["statusModule"]["lastUpdatePostDateStruct"]["date"]
    order(
        timestamp="2030-01-02T09:00:05",
        put=[
            changed(edited, "2030-01-01", briefSummary="other words"),
            changed(touched, "2030-01-01"),
            changed(silent, f"{int(old[:4]) - 1}-05-05", briefSummary="back-dated"),  # only the sweep sees it
            fresh,
        ],
        withdraw=[id_of(lost)],
        merge={id_of(merged): id_of(keeper)},
    )
    served[1].log.clear()
    summary = sync(out, request, BIG)
    numbers = summary.as_dict()
    assert (numbers["new"], numbers["changed"], numbers["removed"], numbers["merged"]) == (1, 2, 2, 1)
    assert numbers["read"] == numbers["kept"] == 3 + numbers["unchanged"]
    eve = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    overlap = sum(registry_server.update_day(study) >= eve for study in studies)
    assert numbers["read"] <= 5 + overlap < 60  # the updates, the last day's overlap, what the sweep found
    assert numbers["total"] == 240 + 1 - 2
    assert removed(out) == sorted(
        [(id_of(lost), None, "2030-01-02"), (id_of(merged), id_of(keeper), "2030-01-02")]
    )
    after = pl.read_parquet(out / "snapshot.parquet")
    history = {row[0]: row[1:] for row in after.select("nct_id", "first_seen", "last_changed").rows()}
    assert history[id_of(edited)] == history[id_of(silent)] == (day, "2030-01-02")
    assert history[id_of(touched)] == history[id_of(keeper)] == (day, day)
    assert history["NCT99999999"] == ("2030-01-02", "2030-01-02")
    assert set(after["nct_id"]) == set(before["nct_id"]) - {id_of(lost), id_of(merged)} | {"NCT99999999"}
    ranges = [entry["filter.advanced"] for entry in served[1].log if "filter.advanced" in entry]
    assert ranges[0].startswith("AREA[LastUpdatePostDate]RANGE[")

    # A trial that comes back is no longer listed as removed; the merged one stays so.
    order(timestamp="2030-01-09T09:00:05", put=[changed(lost, "2030-01-08")])
    assert sync(out, request, BIG).new == 1
    assert [row[0] for row in removed(out)] == [id_of(merged)]
    assert sync(out, request, BIG).removed == 0


def test_a_change_in_the_middle_of_the_first_sync_is_caught(served, studies, tmp_path, registry_server):
    order = registry_server.Order(
        timestamp="2030-01-02T09:00:05",
        put=[changed(studies[0], "2030-01-01", briefSummary="late words")],
        withdraw=[id_of(studies[1])],
    )
    calls = []

    def meanwhile(count):
        calls.append(count)
        if len(calls) == 8:
            served[1].obey(order)

    summary = sync(tmp_path / "sync", SyncRequest(base_url=served[0]), FAST, progress=meanwhile)
    rows = pl.read_parquet(tmp_path / "sync" / "snapshot.parquet")
    assert summary.total == rows.height == 239
    assert rows.filter(nct_id=id_of(studies[0]))["brief_summary"].item() == "late words"
    assert summary.read == summary.kept + summary.quarantined


def test_totals_that_do_not_add_up(served, order, tmp_path):
    order(miscount=3)
    with pytest.raises(DataError, match=r"announced 243 studies and sent 240, 4 times in a row"):
        sync(tmp_path / "sync", SyncRequest(base_url=served[0]), BIG)


def test_ids_with_one_that_is_refused(served, order, studies, tmp_path):
    ids = [*map(id_of, studies[:30]), "NCT00000001", "NCT00000002"]
    order(refuse=["NCT00000001"], merge={id_of(studies[3]): id_of(studies[40])})
    request = SyncRequest(base_url=served[0], ids=tuple(sorted(ids)))
    summary = sync(tmp_path / "sync", request, BIG)
    assert (summary.read, summary.total, summary.removed, summary.merged) == (30, 30, 1, 1)
    assert (summary.unknown, summary.unknown_ids) == (2, ("NCT00000001", "NCT00000002"))
    gone = {row[0]: row[1] for row in removed(tmp_path / "sync")}
    assert gone == {id_of(studies[3]): id_of(studies[40])}
    order(timestamp="2030-01-02T09:00:05", put=[changed(studies[5], "2030-01-01", briefSummary="anew")])
    again = sync(tmp_path / "sync", request, BIG)
    assert (again.read, again.changed, again.removed, again.total) == (1, 1, 0, 30)
    assert again.unknown_ids == summary.unknown_ids

    # A trial that was held and leaves is removed; one that is unknown and comes is new.
    order(
        timestamp="2030-01-09T09:00:05",
        withdraw=[id_of(studies[7])],
        put=[renamed(studies[8], "NCT00000002")],
    )
    third = sync(tmp_path / "sync", request, BIG)
    assert (third.new, third.removed, third.unknown_ids) == (1, 1, ("NCT00000001",))
    assert id_of(studies[7]) in {row[0] for row in removed(tmp_path / "sync")}


def test_values_that_cannot_be_read_are_told(served, order, studies, tmp_path):
    odd = [changed(study, "2024-05") for study in studies[:3]]
    for study in odd:
        study["protocolSection"]["statusModule"]["overallStatus"] = "SLEEPING"
    odd[0]["protocolSection"]["designModule"]["phases"] = ["PHASE9"]
    order(put=odd)
    summary = sync(tmp_path / "sync", SyncRequest(base_url=served[0]), FAST)
    assert summary.unread == {
        "overall_status": {"count": 3, "examples": {"SLEEPING": 3}},
        "phases": {"count": 1, "examples": {"PHASE9": 1}},
    }
    assert (summary.total, summary.quarantined) == (240, 0)


def test_bad_records_are_counted_and_set_aside(served, order, studies, tmp_path):
    half = changed(studies[0], "2024-05", briefSummary="half a character \ud800")
    odd = changed(studies[1], "2024-05", briefSummary="NUL \x00 inside")
    odd["protocolSection"]["eligibilityModule"]["sex"] = "SOME"
    nameless = changed(studies[2], "2024-05")
    del nameless["protocolSection"]["identificationModule"]["nctId"]
    served[1].studies["twin"] = changed(studies[3], "2024-05", briefSummary="another twin")
    order(put=[half, odd, nameless, None])
    reasons = [
        "undecodable text",
        "unknown sex",
        "no NCT id",
        "not a study",
        "duplicate NCT id, other content",
    ]
    for page_size in (25, 1000):  # in the next round they are no better
        settings = FAST.model_copy(update={"page_size": page_size})
        summary = sync(tmp_path / "sync", SyncRequest(base_url=served[0]), settings)
        if page_size == 25:
            assert summary.reasons == dict.fromkeys((*reasons, "duplicate NCT id, other content"), 1)
        assert summary.read == summary.kept + summary.quarantined
        assert summary.total == 238
    assert sum(summary.reasons.values()) == len(quarantine(tmp_path / "sync")) == summary.quarantined


def test_an_outage_removes_nothing(served, order, studies, tmp_path):
    out, request = tmp_path / "sync", SyncRequest(base_url=served[0])
    sync(out, request, BIG)
    order(withdraw=list(map(id_of, studies[:100])))
    with pytest.raises(
        DataError, match=r"100 of the 240 trials held here are no longer listed.*nothing was removed"
    ):
        sync(out, request, BIG)
    order(put=studies[:100])
    assert (sync(out, request, BIG).total, sync(out, request, BIG).removed) == (240, 0)
