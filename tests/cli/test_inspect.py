"""`trialtune registry diff`, `info`, `show` and `sql` as a user meets them."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from trialtune.cli import app
from trialtune.registry.snapshot.build import import_trials


@pytest.fixture
def snapshots(tmp_path: Path) -> tuple[Path, Path]:
    """An older and a newer snapshot of a few made-up trials."""
    paths = []
    for name, title, numbers in (("old", "x", range(8)), ("new", "y", range(4, 12))):
        rows = {
            "nct_id": [f"NCT{n:08d}" for n in numbers],
            "title": [title if n < 6 else "z" for n in numbers],
        }
        pl.DataFrame(rows).with_columns(start_date=pl.lit("2021-01")).write_csv(tmp_path / f"{name}.csv")
        import_trials(tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet")
        paths.append(tmp_path / f"{name}.parquet")
    return paths[0], paths[1]


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["registry", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_diff_prints_a_table_and_writes_a_page(snapshots: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = snapshots
    told = run("diff", new, "--base", old, "--out", tmp_path / "diff")
    assert "by start year" in told
    assert "changed fields: brief_title 2" in told
    page = (tmp_path / "diff" / "summary.html").read_text()
    assert page.count("<svg") == 2
    assert "Changes against old.parquet" in page
    result = json.loads(run("diff", new, "--base", old, "--out", tmp_path / "diff", "--json"))
    assert (result["new"], result["changed"], result["removed"]) == (4, 2, 4)
    assert result["groups"]["year"] == {"2021": {"new": 4, "changed": 2, "removed": 4}}


def test_long_groups_are_cut_in_the_terminal_only(tmp_path: Path) -> None:
    countries = "|".join(f"Country {n:02}" for n in range(30))
    pl.DataFrame({"nct_id": ["NCT00000001"], "title": ["x"], "countries": [countries]}).write_csv(
        tmp_path / "one.csv"
    )
    import_trials(tmp_path / "one.csv", tmp_path / "one.parquet")
    (tmp_path / "ids.txt").write_text("NCT00000002\n")
    described = run("info", tmp_path / "one.parquet")
    compared = ("diff", tmp_path / "one.parquet", "--base", tmp_path / "ids.txt", "--out", tmp_path / "diff")
    for told in (described, run(*compared)):
        assert "and 18 others" in told and "Country 11" in told and "Country 12" not in told
    assert len(json.loads(run("info", tmp_path / "one.parquet", "--json"))["groups"]["country"]) == 30
    assert len(json.loads(run(*compared, "--json"))["groups"]["country"]) == 30
    assert "Country 29" in (tmp_path / "diff" / "summary.html").read_text()


def test_a_trial_shows_numbers_and_answers(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text(
        json.dumps({"nct_id": "NCT00000001", "title": "x", "enrollment": 70, "has_results": False})
    )
    import_trials(tmp_path / "one.jsonl", tmp_path / "one.parquet")
    told = run("show", "NCT00000001", "--snapshot", tmp_path / "one.parquet")
    assert "enrollment: 70" in told and "has_results: no" in told
    assert "healthy_volunteers" not in told
    rows = run("sql", "select has_results, enrollment from trials", "--snapshot", tmp_path / "one.parquet")
    assert "False" in rows and "70" in rows


def test_diff_against_a_list(snapshots: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("NCT00000004\nhello\n")
    told = run("diff", snapshots[1], "--base", tmp_path / "ids.txt", "--out", tmp_path / "diff")
    assert "bad ids in the base" in told
    assert "changed  " in told and "–" in told
    page = (tmp_path / "diff" / "summary.html").read_text().replace("\n   ", "")
    assert "there are only new and removed" in page


def test_info_show_and_sql(snapshots: tuple[Path, Path], tmp_path: Path) -> None:
    old, _ = snapshots
    assert "brief_title" in run("info", old)
    assert json.loads(run("info", old, "--json"))["trials"] == 8
    assert "brief_title: x" in run("show", "NCT00000001", "--snapshot", old)
    assert json.loads(run("show", "NCT00000001", "--snapshot", old, "--json"))["brief_title"] == "x"
    query = ("sql", "select nct_id from trials order by 1", "--snapshot", old)
    told = run(*query, "--limit", 3)
    assert "NCT00000002" in told and "NCT00000003" not in told
    assert json.loads(run(*query, "--limit", 3, "--json"))["more"] is True
    assert "8 rows" in run(*query, "--out", tmp_path / "ids.parquet")
    assert pl.read_parquet(tmp_path / "ids.parquet").height == 8
