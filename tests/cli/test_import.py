"""`trialtune registry import` says what it used, what it did not, and what it could not read."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from trialtune.cli import app

HEADER = "nct_id,Title,status,phase,start_date,enrollment,shoe_size,colour"
ROWS = (
    "NCT00000001,One,Completed,Phase 2,2020-01-05,70,44,red",
    "NCT00000002,Two,Asleep,Phase 9,whenever,lots,45,blue",
    "NCT00000003,Three,Asleep,Phase 3,5/6/2020,12,46,green",
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "trials.csv"
    path.write_text("\n".join([HEADER, *ROWS]), encoding="utf-8")
    return path


def import_(*arguments: object) -> Result:
    done = CliRunner().invoke(app, ["registry", "import", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done


def test_columns_and_values_are_told(table: Path, tmp_path: Path) -> None:
    done = import_(table, "--out", tmp_path / "snapshot.parquet")
    told = done.stderr
    assert "columns used, 6: nct_id, Title as brief_title, " in told
    assert ", status as overall_status, start_date, enrollment\n" in told
    assert "columns not used, 2: shoe_size, colour\n" in told
    assert "warning: 2 values of overall_status could not be read: 'Asleep' (2)\n" in told
    assert "warning: 1 value of phases could not be read: 'Phase 9' (1)\n" in told
    assert "'whenever' (1)" in told and "'lots' (1)" in told
    assert "warning: 1 value of start_date can be read in two ways: '5/6/2020' (1)\n" in told
    assert done.stdout.strip() == str(tmp_path / "snapshot.parquet")


def test_json_has_them_whole(table: Path, tmp_path: Path) -> None:
    done = import_(table, "--out", tmp_path / "snapshot.parquet", "--json")
    found = json.loads(done.stdout)
    assert found["columns_used"]["Title"] == "brief_title"
    assert found["columns_not_used"] == ["shoe_size", "colour"]
    assert found["unread"]["overall_status"] == {"count": 2, "examples": {"Asleep": 2}}
    assert found["guessed"]["start_date"]["count"] == 1
    assert "columns not used" in done.stderr


def test_many_columns_are_cut(tmp_path: Path) -> None:
    names = [f"extra_{n:02}" for n in range(30)]
    (tmp_path / "wide.csv").write_text(
        "\n".join([",".join(["nct_id", "title", *names]), ",".join(["NCT00000001", "x", *["1"] * 30])])
    )
    told = import_(tmp_path / "wide.csv", "--out", tmp_path / "snapshot.parquet").stderr
    assert "columns not used, 30: extra_00, " in told
    assert "extra_19 and 10 others" in told and "extra_20" not in told


def test_studies_of_the_api_have_no_columns(tmp_path: Path) -> None:
    study = {"protocolSection": {"identificationModule": {"nctId": "NCT00000001", "briefTitle": "x"}}}
    (tmp_path / "study.json").write_text(json.dumps(study))
    told = import_(tmp_path / "study.json", "--out", tmp_path / "snapshot.parquet").stderr
    assert "columns" not in told and "warning" not in told
