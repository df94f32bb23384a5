"""A diff sorts trials into new, changed and removed; a cut parts one snapshot in two."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialtune.errors import DataError, UsageError
from trialtune.registry.diff import diff_snapshots
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.snapshot.read import read_snapshot

MakeSnapshot = Callable[[Path, dict[int, dict[str, Any]]], Path]


def ids(path: Path) -> list[str]:
    return pl.read_parquet(path)["nct_id"].to_list()


def test_diff_against_a_snapshot(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    old = {1: {}, 2: {"conditions": ["a"], "title": "x"}, 3: {}, 4: {"lastUpdatePosted": "2023"}}
    new = {9: {}, 4: {"lastUpdatePosted": "2024"}, 2: {"conditions": ["a", "b"], "title": "y"}, 3: {}}
    base = make_snapshot(tmp_path / "old.parquet", old)
    fresh = make_snapshot(tmp_path / "new.parquet", new)
    out = tmp_path / "diff"
    summary = diff_snapshots(fresh, base, out)
    assert (summary.total, summary.base, summary.new, summary.changed) == (4, 4, 1, 1)
    assert (summary.unchanged, summary.removed, summary.bad_ids) == (2, 1, 0)
    assert ids(out / "new.parquet") == ["NCT00000009"]
    assert ids(out / "removed.parquet") == ["NCT00000001"]
    (changed,) = pl.read_parquet(out / "changed.parquet").to_dicts()
    assert changed["changed_fields"] == ["brief_title", "conditions"]
    assert changed["conditions"] == ["a", "b"]
    assert json.loads((out / "summary.json").read_text())["changed"] == 1
    assert read_snapshot(out / "new.parquet").height == read_snapshot(out / "changed.parquet").height == 1
    assert pq.read_schema(out / "new.parquet").equals(SNAPSHOT_SCHEMA)
    assert pq.read_schema(out / "changed.parquet").names == [*SNAPSHOT_SCHEMA.names, "changed_fields"]
    assert pq.read_schema(out / "removed.parquet").names == [*SNAPSHOT_SCHEMA.names, "merged_into"]


@pytest.mark.parametrize("name", ["base.txt", "base.csv", "bare.csv", "base.jsonl", "base.parquet"])
def test_diff_against_a_list_of_ids(tmp_path: Path, make_snapshot: MakeSnapshot, name: str) -> None:
    listed = ["NCT00000001", " nct00000002 ", "NCT77", "NCT00000005", "NCT00000005"]
    base = tmp_path / name
    if name == "base.txt":
        base.write_text("\n".join(listed) + "\n\n")
    elif name == "bare.csv":
        base.write_text("\n".join(listed))
    elif name == "base.csv":
        pd.DataFrame({"NCTId": listed}).to_csv(base)
    elif name == "base.jsonl":
        pd.DataFrame({"text": "x", "trial_id": listed}).to_json(base, orient="records", lines=True)
    else:
        pd.DataFrame({"trial_id": listed}).to_parquet(base)
    fresh = make_snapshot(tmp_path / "new.parquet", {1: {}, 2: {}, 3: {}})
    out = tmp_path / "diff"
    out.mkdir()
    (out / "changed.parquet").write_text("of an earlier diff")
    summary = diff_snapshots(fresh, base, out)
    assert (summary.base, summary.new, summary.changed, summary.unchanged) == (3, 1, None, 2)
    assert (summary.removed, summary.bad_ids) == (1, 1)
    assert ids(out / "new.parquet") == ["NCT00000003"]
    assert ids(out / "removed.parquet") == ["NCT00000005"]
    assert not (out / "changed.parquet").exists()
    (refused,) = map(json.loads, (out / "base.quarantine.jsonl").read_text().splitlines())
    assert refused["file"] == name
    assert refused["reason"] == "bad NCT id: 'NCT77' (expected NCT and eight digits)"


def test_diff_against_a_data_set_of_the_hub(
    tmp_path: Path, make_snapshot: MakeSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "datasets--someone--trial_texts"
    data = cached / "snapshots" / ("0" * 40) / "data"
    data.mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    (data.parent / "README.md").write_text("hello")
    pd.DataFrame({"trial_id": ["NCT00000001", "bad"], "text": "x"}).to_parquet(data / "train.parquet")
    pd.DataFrame({"trial_id": ["NCT00000001", "NCT00000002"], "text": "x"}).to_csv(data / "test.csv")
    fresh = make_snapshot(tmp_path / "new.parquet", {1: {}, 3: {}})
    summary = diff_snapshots(fresh, Path("someone/trial_texts"), tmp_path / "diff")
    assert (summary.against, summary.base, summary.bad_ids) == ("someone/trial_texts", 2, 1)
    assert (summary.new, summary.unchanged, summary.removed) == (1, 1, 1)
    with pytest.raises(DataError, match=r"someone/other: .*not in the cache"):
        diff_snapshots(fresh, Path("someone/other"), tmp_path / "diff")


def test_a_base_list_with_bad_ids_loses_nothing(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    entries = [f"NCT{n:08d}" for n in range(200)]
    entries[::20] = [
        "",
        "NCT1",
        "hello",
        "NCT000000000",
        "ＮＣＴ00000001",
        "-",
        "nan",
        "\U0001f600",
        "1",
        "n/a",
    ]
    pd.DataFrame({"nct_id": entries}).to_csv(tmp_path / "base.csv", index=False)
    fresh = make_snapshot(tmp_path / "new.parquet", {n: {} for n in range(210)})
    summary = diff_snapshots(fresh, tmp_path / "base.csv", tmp_path / "diff")
    assert (summary.base, summary.bad_ids, summary.new) == (190, 10, 20)
    refused = [*map(json.loads, (tmp_path / "diff" / "base.quarantine.jsonl").read_text().splitlines())]
    assert [entry["row"] for entry in refused] == list(range(1, 200, 20))
    assert refused[0]["reason"] == "no NCT id"


def test_the_summary_counts_by_year_phase_and_status(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    done, stopped = {"status": "Completed", "phase": "Phase 1/Phase 2"}, {"status": "Terminated"}
    base = make_snapshot(tmp_path / "old.parquet", {1: done, 2: {**done, "start_date": "2019"}, 3: {}})
    fresh = make_snapshot(
        tmp_path / "new.parquet", {1: stopped, 3: {"why_stopped": "x"}, 4: {"start_date": "2024-05"}}
    )
    summary = diff_snapshots(fresh, base, tmp_path / "diff")
    assert summary.changed_fields == {"phases": 1, "overall_status": 1, "why_stopped": 1}
    unsaid = {"not given": {"new": 1, "changed": 2, "removed": 1}}
    assert summary.groups == {
        "sponsor_class": unsaid,
        "country": unsaid,
        "year": {
            "2019": {"new": 0, "changed": 0, "removed": 1},
            "2024": {"new": 1, "changed": 0, "removed": 0},
            "not given": {"new": 0, "changed": 2, "removed": 0},
        },
        "phase": {
            "PHASE1/PHASE2": {"new": 0, "changed": 0, "removed": 1},
            "not given": {"new": 1, "changed": 2, "removed": 0},
        },
        "status": {
            "COMPLETED": {"new": 0, "changed": 0, "removed": 1},
            "TERMINATED": {"new": 0, "changed": 1, "removed": 0},
            "not given": {"new": 1, "changed": 1, "removed": 0},
        },
    }


def test_an_empty_list_of_countries_counts_as_not_given(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    base, new = (
        make_snapshot(tmp_path / f"{name}.parquet", {number: {}}) for number, name in enumerate("ab")
    )
    rows = pl.read_parquet(new)
    rows.with_columns(countries=pl.lit([], dtype=pl.List(pl.String))).write_parquet(new)
    groups = diff_snapshots(new, base, tmp_path / "diff").groups
    assert groups["country"] == {"not given": {"new": 1, "changed": 0, "removed": 1}}


def test_a_trial_counts_in_each_of_its_countries(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    base = make_snapshot(tmp_path / "old.parquet", {1: {"countries": ["Peru"]}, 2: {"title": "x"}})
    fresh = make_snapshot(
        tmp_path / "new.parquet",
        {2: {"title": "y", "countries": ["Peru", "France"], "sponsor_class": "NIH"}, 3: {}},
    )
    groups = diff_snapshots(fresh, base, tmp_path / "diff").groups
    assert groups["country"] == {
        "France": {"new": 0, "changed": 1, "removed": 0},
        "Peru": {"new": 0, "changed": 1, "removed": 1},
        "not given": {"new": 1, "changed": 0, "removed": 0},
    }
    assert groups["sponsor_class"]["NIH"] == {"new": 0, "changed": 1, "removed": 0}


def test_what_trials_are_grouped_by_is_not_compared(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    base = make_snapshot(tmp_path / "old.parquet", {1: {"enrollment": 3, "countries": ["Peru"]}})
    fresh = make_snapshot(tmp_path / "new.parquet", {1: {"lead_sponsor": "Someone", "has_results": True}})
    assert diff_snapshots(fresh, base, tmp_path / "diff").changed == 0


#: Texts that differ by what sources write differently, and texts that do not.
_CELLS = st.text(st.sampled_from(['"', " ", "\n", "\u00a0", "\u2003", "a", "b", "|", ";", "\\"]), max_size=5)


@settings(max_examples=40)
@given(st.lists(st.tuples(_CELLS, _CELLS, st.lists(_CELLS, max_size=3), st.lists(_CELLS, max_size=3))))
def test_a_trial_is_changed_where_one_of_its_fields_is(
    tmp_path_factory: pytest.TempPathFactory,
    make_snapshot: MakeSnapshot,
    trials: list[tuple[str, str, list[str], list[str]]],
) -> None:
    folder = tmp_path_factory.mktemp("diff")
    paths = []
    for name, side in (("old", 0), ("new", 1)):
        rows = {
            n: {"brief_summary": cells[side], "conditions": cells[2 + side], "official_title": cells[0]}
            for n, cells in enumerate([("a", "a", [], []), *trials])
        }
        paths.append(make_snapshot(folder / f"{name}.parquet", rows))
    diff_snapshots(paths[1], paths[0], folder / "out")
    changed = pl.read_parquet(folder / "out" / "changed.parquet")
    assert changed["changed_fields"].list.len().min() != 0


def test_aact_and_the_api_agree(tmp_path: Path, shared_data: Path) -> None:
    aact, api = tmp_path / "aact.parquet", tmp_path / "api.parquet"
    import_trials(shared_data / "aact_flat_files.zip", aact)
    import_trials(shared_data / "registry_v2_studies.jsonl.gz", api)
    for new, base in ((aact, api), (api, aact)):
        summary = diff_snapshots(new, base, tmp_path / "diff")
        assert (summary.unchanged, summary.changed, summary.changed_fields) == (1327, 0, {})


def test_the_folder_of_a_sync_says_what_was_merged(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    base = make_snapshot(tmp_path / "old.parquet", {1: {}, 2: {}, 3: {}})
    synced = make_snapshot(tmp_path / "sync" / "snapshot.parquet", {1: {}}).parent
    # A sync keeps columns of its own.
    pl.read_parquet(synced / "snapshot.parquet").with_columns(first_seen=pl.lit("2024-01-01")).write_parquet(
        synced / "snapshot.parquet"
    )
    pl.DataFrame(
        {"nct_id": ["NCT00000002", "NCT00000003"], "merged_into": ["NCT00000001", None]}
    ).write_parquet(synced / "removed.parquet")
    summary = diff_snapshots(synced, base, tmp_path / "diff")
    assert (summary.removed, summary.merged) == (2, {"NCT00000002": "NCT00000001"})
    removed = pl.read_parquet(tmp_path / "diff" / "removed.parquet")
    assert removed["merged_into"].to_list() == ["NCT00000001", None]
    assert diff_snapshots(base, synced, tmp_path / "back").new == 2


def test_a_snapshot_with_an_id_twice(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    good = make_snapshot(tmp_path / "good.parquet", {1: {}})
    rows = pl.read_parquet(good)
    pl.concat([rows, rows]).write_parquet(tmp_path / "twice.parquet")
    with pytest.raises(DataError, match=r"twice\.parquet.*NCT00000001 is in more than one row"):
        diff_snapshots(good, tmp_path / "twice.parquet", tmp_path / "diff")


def test_neither_order_nor_row_groups_matter(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    base = make_snapshot(tmp_path / "old.parquet", {n: {"title": f"t{n}"} for n in range(60)})
    fresh = make_snapshot(tmp_path / "new.parquet", {n: {"title": f"t{n % 50}"} for n in range(20, 70)})
    shuffled = pl.read_parquet(base).sample(fraction=1, shuffle=True, seed=1)
    shuffled.write_parquet(tmp_path / "shuffled.parquet", row_group_size=7)
    summaries = [
        diff_snapshots(fresh, path, tmp_path / path.stem) for path in (base, tmp_path / "shuffled.parquet")
    ]
    assert [(s.new, s.changed, s.removed, s.unchanged) for s in summaries] == [(10, 10, 20, 30)] * 2
    for name in ("new.parquet", "changed.parquet"):
        assert pl.read_parquet(tmp_path / "old" / name).equals(pl.read_parquet(tmp_path / "shuffled" / name))


def test_equal_snapshots_have_an_empty_diff_other_tools_can_open(
    tmp_path: Path, make_snapshot: MakeSnapshot
) -> None:
    one = make_snapshot(tmp_path / "one.parquet", {1: {}, 2: {}})
    summary = diff_snapshots(one, one, tmp_path / "diff")
    assert (summary.new, summary.changed, summary.removed, summary.unchanged) == (0, 0, 0, 2)
    for name in ("new", "changed", "removed"):
        path = tmp_path / "diff" / f"{name}.parquet"
        assert len(pd.read_parquet(path)) == pq.read_table(path).num_rows == pl.read_parquet(path).height == 0
        assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(0,)]


def test_a_diff_gives_the_same_bytes(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    base = make_snapshot(tmp_path / "old.parquet", {n: {} for n in range(20)})
    fresh = make_snapshot(tmp_path / "new.parquet", {n: {"title": "x"} for n in range(10, 40)})
    for name in ("one", "two"):
        diff_snapshots(fresh, base, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_bases_that_cannot_be_used(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    fresh = make_snapshot(tmp_path / "new.parquet", {1: {}})
    (tmp_path / "none.txt").write_text("hello\n")
    (tmp_path / "no_id.csv").write_text("title\nhello\n")
    (tmp_path / "broken.parquet").write_text("hello")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "no_id.parquet")
    for name in ("none.txt", "no_id.csv", "broken.parquet", "no_id.parquet"):
        with pytest.raises(DataError, match=name):
            diff_snapshots(fresh, tmp_path / name, tmp_path / "diff")
    (tmp_path / "base.docx").write_text("hello")
    for name in ("missing.txt", "base.docx"):
        with pytest.raises(UsageError, match=name):
            diff_snapshots(fresh, tmp_path / name, tmp_path / "diff")
    with pytest.raises(DataError, match="registry import first"):
        diff_snapshots(tmp_path / "no_id.parquet", fresh, tmp_path / "diff")


@settings(max_examples=25)
@given(
    st.dictionaries(st.integers(0, 9), st.sampled_from(["x", "y"]), min_size=1),
    st.dictionaries(st.integers(0, 9), st.sampled_from(["x", "y"]), min_size=1),
)
def test_a_diff_accounts_for_every_trial(
    tmp_path_factory: pytest.TempPathFactory,
    make_snapshot: MakeSnapshot,
    old: dict[int, str],
    new: dict[int, str],
) -> None:
    folder = tmp_path_factory.mktemp("diff")
    base = make_snapshot(folder / "old.parquet", {n: {"title": title} for n, title in old.items()})
    fresh = make_snapshot(folder / "new.parquet", {n: {"title": title} for n, title in new.items()})
    summary = diff_snapshots(fresh, base, folder / "out")
    assert summary.new == len(new.keys() - old.keys())
    assert summary.removed == len(old.keys() - new.keys())
    assert summary.changed == sum(old[n] != new[n] for n in old.keys() & new.keys())
    assert summary.total == summary.new + (summary.changed or 0) + summary.unchanged == len(new)
    assert summary.base == summary.removed + (summary.changed or 0) + summary.unchanged == len(old)


def test_real_snapshots_diff_and_cut(tmp_path: Path, shared_data: Path) -> None:
    joined, studies = tmp_path / "joined.parquet", tmp_path / "studies.parquet"
    import_trials(shared_data / "trials.parquet", joined)
    import_trials(shared_data / "registry_v2_studies.jsonl.gz", studies)
    summary = diff_snapshots(studies, joined, tmp_path / "diff")
    assert summary.total == 1327 == summary.new + (summary.changed or 0) + summary.unchanged
