"""What a snapshot holds, one of its trials, and questions in SQL."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest

from trialtune.errors import DataError, UsageError
from trialtune.registry.describe import TextSize, describe_snapshot
from trialtune.registry.lookup import find_trial
from trialtune.registry.query import export_sql, run_sql
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.snapshot.read import read_snapshot

MakeSnapshot = Callable[[Path, dict[int, dict[str, Any]]], Path]
TRIALS = {
    3: {
        "status": "Completed",
        "phase": "Phase 1|Phase 2",
        "sex": "Male",
        "start_date": "2020-05",
        "sponsor_class": "Industry",
        "countries": ["Peru", "France"],
        "enrollment": 0,
        "has_results": False,
    },
    5: {"status": "Completed", "conditions": ["abc", "de"], "start_date": "2019", "title": "x" * 10},
    9: {"studyType": "Observational", "title": "y" * 30, "countries": ["Peru"]},
}


@pytest.fixture
def trials(tmp_path: Path, make_snapshot: MakeSnapshot) -> Path:
    return make_snapshot(tmp_path / "it's.parquet", TRIALS)


def test_a_description_counts(trials: Path) -> None:
    described = describe_snapshot(trials)
    assert (described.trials, described.first_id, described.last_id) == (3, "NCT00000003", "NCT00000009")
    assert described.groups == {
        "status": {"COMPLETED": 2, "not given": 1},
        "phase": {"not given": 2, "PHASE1/PHASE2": 1},
        "year": {"2019": 1, "2020": 1, "not given": 1},
        "sex": {"not given": 2, "MALE": 1},
        "study_type": {"not given": 2, "OBSERVATIONAL": 1},
        "sponsor_class": {"not given": 2, "INDUSTRY": 1},
        "country": {"Peru": 2, "France": 1, "not given": 1},
    }
    assert list(described.coverage) == SNAPSHOT_SCHEMA.names
    assert (described.coverage["enrollment"], described.coverage["has_results"]) == (1, 1)
    assert (described.coverage["countries"], described.coverage["healthy_volunteers"]) == (2, 0)
    assert described.coverage["nct_id"] == described.coverage["text"] == 3
    assert (described.coverage["brief_title"], described.coverage["conditions"]) == (2, 1)
    assert described.coverage["keywords"] == 0
    assert described.text_sizes["brief_title"] == TextSize(median=10, p95=30, max=30)
    assert described.text_sizes["conditions"] == TextSize(median=6, p95=6, max=6)
    assert "keywords" not in described.text_sizes
    assert described.origin["data_timestamp"] == "2024-01-01T00:00:00Z"
    assert described.file_bytes == trials.stat().st_size
    assert json.loads(json.dumps(described.as_dict()))["text_sizes"]["brief_title"]["max"] == 30


def test_real_trials_are_described(tmp_path: Path, shared_data: Path) -> None:
    path = tmp_path / "snapshot.parquet"
    import_trials(shared_data / "registry_v2_studies.jsonl.gz", path)
    described, rows = describe_snapshot(path), read_snapshot(path)
    once = {group: counts for group, counts in described.groups.items() if group != "country"}
    assert all(sum(counts.values()) == len(rows) for counts in once.values())
    countries = rows["countries"].list.len()
    assert sum(described.groups["country"].values()) == countries.sum() + (countries == 0).sum() > len(rows)
    assert len(described.groups["sponsor_class"]) > 3
    for name in ("lead_sponsor", "enrollment", "has_results", "is_fda_regulated"):
        assert described.coverage[name] == len(rows) - rows[name].null_count()
    lengths = rows["eligibility_criteria"].drop_nulls().str.len_chars()
    size = described.text_sizes["eligibility_criteria"]
    assert (size.max, described.coverage["eligibility_criteria"]) == (lengths.max(), len(lengths))
    assert abs(size.median - (lengths.median() or 0)) <= 10
    some = rows.row(7, named=True)
    assert find_trial(path, some["nct_id"]) == some


def test_a_trial_is_found(trials: Path) -> None:
    assert find_trial(trials, " nct00000005 ")["conditions"] == ["abc", "de"]
    with pytest.raises(
        DataError, match="no trial NCT00000006; the closest ids are NCT00000005 and NCT00000009"
    ):
        find_trial(trials, "NCT00000006")
    with pytest.raises(DataError, match=r"the closest ids are NCT00000009$"):
        find_trial(trials, "NCT99999999")
    with pytest.raises(UsageError, match="'NCT6': not an NCT id"):
        find_trial(trials, "NCT6")


def test_a_trial_that_left_the_registry(tmp_path: Path, make_snapshot: MakeSnapshot) -> None:
    folder = make_snapshot(tmp_path / "sync" / "snapshot.parquet", TRIALS).parent
    pl.DataFrame(
        {"nct_id": ["NCT00000001", "NCT00000002"], "merged_into": ["NCT00000003", None]}
    ).write_parquet(folder / "removed.parquet")
    assert find_trial(folder, "NCT00000003")["sex"] == "MALE"
    assert describe_snapshot(folder).trials == 3
    with pytest.raises(DataError, match="merged into NCT00000003; show that one"):
        find_trial(folder, "NCT00000001")
    with pytest.raises(DataError, match="removed from the registry"):
        find_trial(folder, "NCT00000002")


def test_questions_in_sql(trials: Path) -> None:
    answer = run_sql(trials, "select nct_id, conditions from trials order by 1;", limit=2)
    assert answer.rows == (("NCT00000003", []), ("NCT00000005", ["abc", "de"]))
    assert answer.more
    assert not run_sql(trials, "from trials", limit=3).more
    assert run_sql(trials, "select count(*) as n from trials").as_dict()["rows"] == [{"n": 3}]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_rows_are_written(trials: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "new" / f"rows.{kind}"
    assert export_sql(trials, "select nct_id, brief_title from trials order by 1; ", out) == 3
    read = {
        "parquet": pd.read_parquet,
        "csv": pd.read_csv,
        "jsonl": lambda path: pd.read_json(path, lines=True),
    }
    assert read[kind](out)["nct_id"].tolist() == ["NCT00000003", "NCT00000005", "NCT00000009"]
    assert duckdb.sql(f"select count(brief_title) from '{out}'").fetchall() == [(2,)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select foo from trials", "DuckDB: .*foo"),
        ("selec 1", "DuckDB: .*syntax error"),
        ("select 1; select 2", "one query at a time, not 2"),
        ("", "one query at a time, not 0"),
        ("drop view trials", "only read: drop is not allowed"),
        ("copy trials to '/tmp/x.csv'", "only read: copy is not allowed"),
        ("attach '/tmp/x.db'", "only read: attach is not allowed"),
        ("set threads = 1", "only read: set is not allowed"),
        ("select * from '/etc/passwd.csv'", "DuckDB: Permission Error"),
        ("select * from read_text('/etc/hostname')", "DuckDB: Permission Error"),
    ],
)
def test_a_snapshot_is_only_read(trials: Path, tmp_path: Path, sql: str, message: str) -> None:
    before = trials.read_bytes()
    with pytest.raises(UsageError, match=message):
        run_sql(trials, sql)
    with pytest.raises(UsageError, match=message):
        export_sql(trials, sql, tmp_path / "out.csv")
    assert trials.read_bytes() == before
    assert not (tmp_path / "out.csv").exists()


def test_outputs_that_cannot_be_written(trials: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rows\.xlsx: unsupported file format"):
        export_sql(trials, "from trials", tmp_path / "rows.xlsx")
    with pytest.raises(UsageError, match="the snapshot itself"):
        export_sql(trials, "from trials", trials)
    with pytest.raises(DataError, match=r"none\.parquet: no such file"):
        run_sql(tmp_path / "none.parquet", "from trials")
