"""A diff sorts trials into new, changed and removed; a cut parts one snapshot in two."""

import json
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
from trialtune.registry.diff import Cut, diff_snapshots, split_by_cut
from trialtune.registry.records import SNAPSHOT_SCHEMA
from trialtune.registry.snapshot import import_source, read_snapshot


def snapshot(path: Path, rows: dict[int, dict[str, Any]]) -> Path:
    lines = [
        json.dumps({"nct_id": f"NCT{n:08d}", "text": f"words {n}", **cells}) for n, cells in rows.items()
    ]
    source = path.with_suffix(".jsonl")
    source.write_text("\n".join(lines))
    import_source(source, path, data_timestamp="2024-01-01T00:00:00Z")
    return path


def ids(path: Path) -> list[str]:
    return pl.read_parquet(path)["nct_id"].to_list()


def test_diff_against_a_snapshot(tmp_path: Path) -> None:
    old = {1: {}, 2: {"conditions": ["a"], "title": "x"}, 3: {}, 4: {"lastUpdatePosted": "2023"}}
    new = {9: {}, 4: {"lastUpdatePosted": "2024"}, 2: {"conditions": ["a", "b"], "title": "y"}, 3: {}}
    base = snapshot(tmp_path / "old.parquet", old)
    fresh = snapshot(tmp_path / "new.parquet", new)
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
    assert pq.read_schema(out / "removed.parquet").equals(SNAPSHOT_SCHEMA)


@pytest.mark.parametrize("name", ["base.txt", "base.csv", "bare.csv", "base.parquet"])
def test_diff_against_a_list_of_ids(tmp_path: Path, name: str) -> None:
    listed = ["NCT00000001", " nct00000002 ", "NCT77", "NCT00000005", "NCT00000005"]
    base = tmp_path / name
    if name == "base.txt":
        base.write_text("\n".join(listed) + "\n\n")
    elif name == "bare.csv":
        base.write_text("\n".join(listed))
    elif name == "base.csv":
        pd.DataFrame({"NCTId": listed}).to_csv(base)
    else:
        pd.DataFrame({"trial_id": listed}).to_parquet(base)
    fresh = snapshot(tmp_path / "new.parquet", {1: {}, 2: {}, 3: {}})
    out = tmp_path / "diff"
    out.mkdir()
    (out / "changed.parquet").write_text("of an earlier diff")
    summary = diff_snapshots(fresh, base, out)
    assert (summary.base, summary.new, summary.changed, summary.unchanged) == (3, 1, None, 2)
    assert (summary.removed, summary.bad_ids) == (1, 1)
    assert ids(out / "new.parquet") == ["NCT00000003"]
    assert ids(out / "removed.parquet") == ["NCT00000005"]
    assert not (out / "changed.parquet").exists()


def test_equal_snapshots_have_an_empty_diff_other_tools_can_open(tmp_path: Path) -> None:
    one = snapshot(tmp_path / "one.parquet", {1: {}, 2: {}})
    summary = diff_snapshots(one, one, tmp_path / "diff")
    assert (summary.new, summary.changed, summary.removed, summary.unchanged) == (0, 0, 0, 2)
    for name in ("new", "changed", "removed"):
        path = tmp_path / "diff" / f"{name}.parquet"
        assert len(pd.read_parquet(path)) == pq.read_table(path).num_rows == pl.read_parquet(path).height == 0
        assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(0,)]


def test_a_diff_gives_the_same_bytes(tmp_path: Path) -> None:
    base = snapshot(tmp_path / "old.parquet", {n: {} for n in range(20)})
    fresh = snapshot(tmp_path / "new.parquet", {n: {"title": "x"} for n in range(10, 40)})
    for name in ("one", "two"):
        diff_snapshots(fresh, base, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_bases_that_cannot_be_used(tmp_path: Path) -> None:
    fresh = snapshot(tmp_path / "new.parquet", {1: {}})
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


DATED = {1: {"start_date": "2020-05-01"}, 2: {"start_date": "2021-11"}, 3: {}, 4: {"start_date": "2022"}}


@pytest.mark.parametrize(
    ("cut", "base"),
    [
        (Cut(nct_id="nct00000003"), [1, 2]),
        (Cut(date="2021-11-01"), [1, 3]),
        (Cut(date="2021-11-02"), [1, 2, 3]),
        (Cut(date="2021-11"), [1, 3]),
        (Cut(date="2022"), [1, 2, 3]),
    ],
)
def test_cuts(tmp_path: Path, cut: Cut, base: list[int]) -> None:
    summary = split_by_cut(snapshot(tmp_path / "a.parquet", DATED), cut, tmp_path / "out")
    expected = [f"NCT{n:08d}" for n in base]
    assert ids(tmp_path / "out" / "base.parquet") == expected
    assert set(ids(tmp_path / "out" / "new.parquet")) == {f"NCT{n:08d}" for n in range(1, 5)} - set(expected)
    assert (summary.base, summary.new, summary.total) == (len(base), 4 - len(base), 4)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["against"] == str(cut)


def test_a_cut_by_a_list(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("NCT00000004\nNCT00000009\nno\n")
    summary = split_by_cut(
        snapshot(tmp_path / "a.parquet", DATED), Cut(ids=tmp_path / "ids.txt"), tmp_path / "out"
    )
    assert ids(tmp_path / "out" / "base.parquet") == ["NCT00000004"]
    assert (summary.new, summary.bad_ids) == (3, 1)


def test_a_cut_with_an_empty_side(tmp_path: Path) -> None:
    path = snapshot(tmp_path / "a.parquet", DATED)
    with pytest.raises(
        DataError, match=r"before the cut nct_id < NCT00000001; .* NCT00000001 to NCT00000004"
    ):
        split_by_cut(path, Cut(nct_id="NCT00000001"), tmp_path / "out")
    with pytest.raises(DataError, match=r"after the cut start_date < 2030; .* 2020-05-01 to 2022 \(1 trials"):
        split_by_cut(path, Cut(date="2030"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cut_is_one_thing() -> None:
    for bad in ({}, {"nct_id": "NCT00000001", "date": "2020"}, {"nct_id": "NCT1"}, {"date": "May 2020"}):
        with pytest.raises(UsageError):
            Cut(**bad)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=25)
@given(
    st.dictionaries(st.integers(0, 9), st.sampled_from(["x", "y"]), min_size=1),
    st.dictionaries(st.integers(0, 9), st.sampled_from(["x", "y"]), min_size=1),
)
def test_a_diff_accounts_for_every_trial(
    tmp_path_factory: pytest.TempPathFactory, old: dict[int, str], new: dict[int, str]
) -> None:
    folder = tmp_path_factory.mktemp("diff")
    base = snapshot(folder / "old.parquet", {n: {"title": title} for n, title in old.items()})
    fresh = snapshot(folder / "new.parquet", {n: {"title": title} for n, title in new.items()})
    summary = diff_snapshots(fresh, base, folder / "out")
    assert summary.new == len(new.keys() - old.keys())
    assert summary.removed == len(old.keys() - new.keys())
    assert summary.changed == sum(old[n] != new[n] for n in old.keys() & new.keys())
    assert summary.total == summary.new + (summary.changed or 0) + summary.unchanged == len(new)
    assert summary.base == summary.removed + (summary.changed or 0) + summary.unchanged == len(old)


def test_real_snapshots_diff_and_cut(tmp_path: Path, shared_data: Path) -> None:
    joined, studies = tmp_path / "joined.parquet", tmp_path / "studies.parquet"
    import_source(shared_data / "trials.parquet", joined)
    import_source(shared_data / "registry_v2_studies.jsonl.gz", studies)
    summary = diff_snapshots(studies, joined, tmp_path / "diff")
    assert summary.total == 1327 == summary.new + (summary.changed or 0) + summary.unchanged
    cut = split_by_cut(joined, Cut(nct_id="NCT04000000"), tmp_path / "cut")
    assert cut.base + cut.new == 18549
    assert (
        max(ids(tmp_path / "cut" / "base.parquet"))
        < "NCT04000000"
        <= min(ids(tmp_path / "cut" / "new.parquet"))
    )
