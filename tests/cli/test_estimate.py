"""`trialtune estimate` as a user meets it, on the sample registry and the shipped classifier."""

import csv
import json
import shlex
import sys
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

import duckdb
import pandas as pd
import polars as pl
import pytest

from trialtune.cli import main
from trialtune.estimation.result import EstimateResult, PlanResult

ROWS = 220


def run(line: str, work: Path) -> int:
    """The exit code of `trialtune LINE` in a folder."""
    with chdir(work), patch.object(sys, "argv", ["trialtune", *shlex.split(line)]):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


@pytest.fixture
def say(work, capsys):
    """Runs `trialtune ARGUMENTS` in the folder of the sample; returns exit code, output, errors."""

    def one(*arguments: object) -> tuple[int, str, str]:
        code = run(shlex.join(map(str, arguments)), work)
        said = capsys.readouterr()
        return code, said.out, said.err

    return one


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """`labelled` by the shipped classifier, `snap.parquet`, and `sheet.csv`, filled in with what is true."""
    folder = tmp_path_factory.mktemp("estimate")
    for line in (
        "registry sample --out sample --studies 700",
        "registry import sample/studies.jsonl.gz --out snap.parquet",
        "apply stop-reasons snap.parquet --out labelled",
        f"estimate plan labelled --rows {ROWS} --trials snap.parquet --by phase,year --out sheet.csv",
    ):
        assert run(line, folder) == 0, line
    reasons = pl.read_parquet(folder / "sample" / "stop_reasons.parquet")
    true = reasons.with_columns(pl.col("labels").list.join("|"))
    sheet = pl.read_csv(folder / "sheet.csv", infer_schema=False)
    assert sheet["labels"].null_count() == len(sheet) == ROWS
    filled = sheet.drop("labels").join(true, on="nct_id", how="left", maintain_order="left")
    filled.select(sheet.columns).write_csv(folder / "sheet.csv")
    return folder


@pytest.fixture(scope="module")
def written(work) -> Path:
    """The folder of an estimate with groups, comparisons, classes of a crosswalk and a combination."""
    line = (
        "estimate run labelled --gold sheet.csv --trials snap.parquet --by year,phase --compare sponsor_class"
        " --crosswalk open_targets --combine 'slow=Insufficient_Enrollment|Logistics_Resources'"
        " --min-gold 8 --out estimate"
    )
    assert run(line, work) == 0
    return work / "estimate"


def test_the_intervals_hold_what_is_true(work, written) -> None:
    result = EstimateResult.load(written / "estimate.json")
    labelled = pl.read_parquet(work / "labelled" / "labels" / "*.parquet").drop_nulls("labels")
    true = pl.read_parquet(work / "sample" / "stop_reasons.parquet").filter(
        pl.col("nct_id").is_in(labelled["nct_id"].implode())
    )
    assert result.trials == len(labelled) == len(true) and result.without_text > 0
    assert result.gold is not None and result.gold.labelled == ROWS
    names = {"slow": {"Insufficient_Enrollment", "Logistics_Resources"}}
    whole = [one for one in result.shares if one.group == "all" and ":" not in one.label]
    assert len(whole) == 18
    held = []
    for one in whole:
        wanted = names.get(one.label, {one.label})
        share = sum(bool(wanted & set(labels)) for labels in true["labels"]) / len(true)
        held.append(one.low <= share <= one.high)
    assert sum(held) >= 17
    assert any(one.label.startswith("open_targets: ") for one in result.shares)
    assert {one.group for one in result.differences} == {"sponsor_class"}
    assert result.independent is True  # the shipped classifier says what it was trained on: no made-up trial
    assert result.trends and {one.group for one in result.trends} == {"year"}


def test_tables_open_anywhere_and_say_the_same(written) -> None:
    result = EstimateResult.load(written / "estimate.json")
    for name in ("shares", "differences", "trends"):
        rows = getattr(result, name)
        table = pl.read_parquet(written / f"{name}.parquet")
        assert table.to_dicts() == [row.model_dump() for row in rows]
        assert len(pd.read_parquet(written / f"{name}.parquet")) == len(rows)
        files = [f"read_parquet('{written}/{name}.parquet')", f"read_csv('{written}/{name}.csv')"]
        for file in files:
            assert duckdb.sql(f"select count(*) from {file}").fetchall() == [(len(rows),)]
        with (written / f"{name}.csv").open(encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        assert [*lines[0]] == table.columns
        for line, row in zip(lines, table.to_dicts(), strict=True):
            for column, value in row.items():
                read = type(value)(line[column]) if value is not None else line[column] or None
                assert read == (pytest.approx(value) if isinstance(value, float) else value)


def test_what_is_printed(say, tmp_path) -> None:
    arguments = ("estimate", "run", "labelled", "--gold", "sheet.csv")
    code, out, _ = say(*arguments)
    assert code == 0 and "95% interval" in out and "Insufficient_Enrollment" in out
    code, out, _ = say(*arguments, "--json")
    result = EstimateResult.model_validate(json.loads(out))
    assert code == 0 and len(result.shares) == 17
    code, out, _ = say(*arguments, "--out", tmp_path / "new")
    assert f"as a page: {tmp_path / 'new' / 'index.html'}" in out.replace("\n", "")
    code, out, _ = say("estimate", "plan", "labelled", "--rows", 50, "--json")
    assert PlanResult.model_validate(json.loads(out)).rows == 50
    code, out, _ = say("estimate", "plan", "labelled", "--precision", 0.08)
    assert code == 0 and "rows for ±8" in out and "by hand only" in out


@pytest.mark.parametrize("method", ["hand", "exact", "stratified", "ppi"])
def test_each_method(say, method) -> None:
    code, out, _ = say("estimate", "run", "labelled", "--gold", "sheet.csv", "--method", method, "--json")
    used = {one["method"] for one in json.loads(out)["shares"]}
    assert code == 0 and method in used
    assert used <= {method, "stratified", "hand"} and (method not in ("hand", "exact") or used == {method})


def test_one_sided_bounds(say) -> None:
    given = ("estimate", "run", "labelled", "--gold", "sheet.csv", "--json")
    _, larger, _ = say(*given, "--alternative", "larger")
    _, usual, _ = say(*given, "--level", 0.9)
    for one, two in zip(json.loads(larger)["shares"], json.loads(usual)["shares"], strict=True):
        assert (one["low"], one["high"]) == (pytest.approx(two["low"]), 1)


def test_known_labels(say) -> None:
    code, out, _ = say("estimate", "run", "labelled", "--known", "sample/stop_reasons.parquet", "--json")
    result = json.loads(out)
    assert code == 0 and result["known"] == result["trials"]
    assert {one["method"] for one in result["shares"]} == {"known"}
    assert all(one["low"] == one["share"] == one["high"] for one in result["shares"])


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ("", 2, "no hand labels: give --gold, or --known"),
        ("--gold none.csv", 1, "none.csv: no such file"),
        ("--gold sheet.csv --by sponser_class --trials snap.parquet", 2, "did you mean 'sponsor_class'"),
        ("--gold sheet.csv --by phase", 2, "give the trials' snapshot as --trials"),
        ("--gold sheet.csv --where nonsense", 2, "--where 'nonsense': Binder Error"),
        ("--gold sheet.csv --method guess", 2, "guess"),
        ("--gold sheet.csv --min-gold 1", 2, "min-gold"),
        ("--gold sheet.csv --crosswalk nothing", 2, "nothing"),
        ("--gold sheet.csv --task nothing", 2, "nothing"),
        ("--gold snap.parquet", 1, "snap.parquet: has no column labels"),
        ("--gold labelled/labels/part-00000.parquet", 1, "is not among the labelled trials"),
    ],
)
def test_mistakes_have_exit_codes_and_one_line(say, more, code, said) -> None:
    found, _, err = say("estimate", "run", "labelled", *more.split())
    assert found == code and said in err and "Traceback" not in err


def test_a_sheet_is_not_overwritten(say, work) -> None:
    before = (work / "sheet.csv").read_bytes()
    code, _, err = say("estimate", "plan", "labelled", "--rows", 50, "--out", "sheet.csv")
    assert code == 2 and "exists, perhaps with hand labels in it" in err
    assert (work / "sheet.csv").read_bytes() == before
