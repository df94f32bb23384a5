"""What a sync folder is for: its request, checked and held to, by one sync at a time."""

import json

import pytest

from trialtune.errors import DataError, UsageError
from trialtune.registry.settings import SyncRequest, SyncSettings
from trialtune.registry.snapshot.read import read_snapshot
from trialtune.registry.sync.run import preview, sync

FAST = SyncSettings(rate=0, backoff=0.005, attempts=5, timeout=5, page_size=25)
BIG = FAST.model_copy(update={"page_size": 1000})


@pytest.fixture(scope="module")
def studies(registry_server):
    return registry_server.made_up_studies(240)


@pytest.fixture(scope="module")
def served(registry_server, studies):
    with registry_server.serving(studies) as (url, registry):
        yield url, registry


def test_a_query_and_a_day_restrict(served, studies, tmp_path, registry_server):
    days = sorted(map(registry_server.update_day, studies))
    summary = sync(tmp_path / "since", SyncRequest(base_url=served[0], since=days[200]), FAST)
    assert summary.total == sum(day >= days[200] for day in days)
    words = [study for study in studies if "placebo" in json.dumps(study).lower()]
    assert sync(tmp_path / "query", SyncRequest(base_url=served[0], query="placebo"), FAST).total == len(
        words
    )
    with pytest.raises(DataError, match="no studies for this request; check --query"):
        sync(tmp_path / "none", SyncRequest(base_url=served[0], query="xyzzy"), FAST)


def test_fields_are_what_is_asked_for(served, tmp_path):
    sync(tmp_path / "sync", SyncRequest(base_url=served[0], fields=("BriefTitle",)), BIG)
    rows = read_snapshot(tmp_path / "sync")
    assert rows["brief_title"].null_count() == rows["last_update_date"].null_count() == 0
    assert rows["brief_summary"].null_count() == rows.height


def test_another_request_in_the_same_folder_is_refused(served, tmp_path):
    sync(tmp_path / "sync", SyncRequest(base_url=served[0]), BIG)
    with pytest.raises(UsageError, match=r"another request's sync \(query None before, 'placebo' now\)"):
        sync(tmp_path / "sync", SyncRequest(base_url=served[0], query="placebo"), BIG)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds files that are not a sync"):
        sync(tmp_path / "other", SyncRequest(base_url=served[0]), BIG)
    (tmp_path / "sync" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest.json: not a valid manifest"):
        sync(tmp_path / "sync", SyncRequest(base_url=served[0]), BIG)


def test_the_folder_of_an_earlier_version_says_what_to_do(served, tmp_path):
    out, request = tmp_path / "sync", SyncRequest(base_url=served[0])
    sync(out, request, BIG)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))
    before = {file: file.read_bytes() for file in out.glob("*.*")}
    for ask in (sync, preview):
        with pytest.raises(DataError, match=r"another version .* lack columns .*sync into a new folder"):
            ask(out, request, BIG)
    assert {file: file.read_bytes() for file in out.glob("*.*")} == before


def test_other_fields_are_told_apart_by_those_that_differ(served, tmp_path):
    sync(tmp_path / "sync", SyncRequest(base_url=served[0], fields=("Sex", "Phase")), BIG)
    with pytest.raises(UsageError, match=r"fields: only before Phase, only now Keyword\)"):
        sync(tmp_path / "sync", SyncRequest(base_url=served[0], fields=("Sex", "Keyword")), BIG)


@pytest.mark.parametrize(
    ("given", "message"),
    [({"since": "yesterday"}, "--since 'yesterday'"), ({"query": "NCT00000001, NCT00000002"}, "--ids FILE")],
)
def test_requests_that_make_no_sense(given, message):
    with pytest.raises(UsageError, match=message):
        SyncRequest(**given)


def test_two_syncs_do_not_meet_in_one_folder(served, tmp_path):
    request = SyncRequest(base_url=served[0])

    def second(count):
        with pytest.raises(UsageError, match="another sync is writing here"):
            sync(tmp_path / "sync", request, BIG)

    sync(tmp_path / "sync", request, BIG, progress=second)


def test_a_dry_run_writes_nothing(served, tmp_path):
    out, request = tmp_path / "sync", SyncRequest(base_url=served[0])
    plan = preview(out, request, FAST)
    assert (plan.total, plan.to_fetch, plan.requests) == (240, 240, 10)
    assert not out.exists()
    sync(out, request, FAST)
    assert preview(out, request, FAST).to_fetch < 60
