"""A cut parts one snapshot in two."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trialtune.errors import DataError, UsageError
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.split import Cut, split_by_cut

MakeSnapshot = Callable[[Path, dict[int, dict[str, Any]]], Path]


def ids(path: Path) -> list[str]:
    return pl.read_parquet(path)["nct_id"].to_list()


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
def test_cuts(tmp_path: Path, make_snapshot: MakeSnapshot, cut: Cut, base: list[int]) -> None:
    summary = split_by_cut(make_snapshot(tmp_path / "a.parquet", DATED), cut, tmp_path / "out")
    expected = [f"NCT{n:08d}" for n in base]
    assert ids(tmp_path / "out" / "base.parquet") == expected
    assert set(ids(tmp_path / "out" / "new.parquet")) == {f"NCT{n:08d}" for n in range(1, 5)} - set(expected)
    assert (summary.base, summary.new, summary.total) == (len(base), 4 - len(base), 4)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["against"] == str(cut)


def test_a_cut_by_a_list(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    (tmp_path / "ids.txt").write_text("NCT00000004\nNCT00000009\nno\n")
    summary = split_by_cut(
        make_snapshot(tmp_path / "a.parquet", DATED), Cut(ids=tmp_path / "ids.txt"), tmp_path / "out"
    )
    assert ids(tmp_path / "out" / "base.parquet") == ["NCT00000004"]
    assert (summary.new, summary.bad_ids) == (3, 1)


def test_a_cut_with_an_empty_side(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    path = make_snapshot(tmp_path / "a.parquet", DATED)
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


def test_real_trials_are_cut(tmp_path: Path, shared_data: Path) -> None:
    joined = tmp_path / "joined.parquet"
    import_trials(shared_data / "trials.parquet", joined)
    cut = split_by_cut(joined, Cut(nct_id="NCT04000000"), tmp_path / "cut")
    assert cut.base + cut.new == 18549
    assert (
        max(ids(tmp_path / "cut" / "base.parquet"))
        < "NCT04000000"
        <= min(ids(tmp_path / "cut" / "new.parquet"))
    )
