"""From labels to a sheet, from the filled-in sheet to shares, differences and trends."""

import json
import re

import numpy as np
import polars as pl
import pytest

from trialtune.errors import DataError, UsageError
from trialtune.estimation.result import EstimateResult, PlanResult
from trialtune.estimation.settings import EstimateSettings, PlanSettings
from trialtune.stages.estimate import estimate
from trialtune.stages.estimate_plan import plan_estimate
from trialtune.tasks.catalog import load_task

SAFETY, SLOW = "Safety_Sideeffects", "Insufficient_Enrollment"


@pytest.fixture(scope="module")
def registry(make_registry, tmp_path_factory):
    return make_registry(tmp_path_factory.mktemp("estimate"), 2000)


@pytest.fixture(scope="module")
def gold(registry):
    sheet = registry.folder / "gold.csv"
    plan_estimate(registry.labels, sheet, settings=PlanSettings(rows=400))
    return registry.fill(sheet)


@pytest.fixture(scope="module")
def result(registry, gold) -> EstimateResult:
    return estimate(
        registry.labels,
        gold,
        trials=registry.trials,
        by=["start_year", "countries"],
        compare=["sponsor", "start_year=2016"],
        combine=["either=Safety_Sideeffects|Insufficient_Enrollment"],
    )


def true_share(registry, names: set[str], ids=None) -> float:
    there = [
        bool(names & set(said.split("|"))) for one, said in registry.true.items() if ids is None or one in ids
    ]
    return float(np.mean(there))


def test_the_sheet(registry, gold, tmp_path) -> None:
    sheet = pl.read_csv(gold, infer_schema=False)
    assert sheet.columns == [
        *("nct_id", "text", "labels", "note", "stratum", "drawing_probability", "text_hash")
    ]
    labels = pl.read_parquet(registry.labels)
    joined = sheet.join(labels, on="nct_id", how="left", suffix="_there")
    assert (joined["text"] == joined["text_there"]).all()
    assert (joined["text_hash"] == joined["text_hash_there"]).all()
    assert (1 / sheet["drawing_probability"].cast(float)).sum() == pytest.approx(2000)
    plan = plan_estimate(registry.labels, tmp_path / "again.csv", settings=PlanSettings(rows=400))
    again = pl.read_csv(tmp_path / "again.csv", infer_schema=False)
    assert again["labels"].null_count() == again["note"].null_count() == 400
    assert again.drop("labels").equals(sheet.drop("labels"))
    assert (plan.rows, plan.trials, sum(plan.strata), sum(plan.drawn)) == (400, 2000, 2000, 400)
    plan.save(tmp_path / "plan.json")
    assert PlanResult.load(tmp_path / "plan.json") == plan


def test_a_plan_for_a_precision(registry) -> None:
    coarse, fine = (
        plan_estimate(registry.labels, settings=PlanSettings(precision=one), of=[SLOW], by=["phase"])
        for one in (0.06, 0.04)
    )
    assert 50 < coarse.rows < fine.rows < 600
    [line] = [one for one in fine.expected if (one.group, one.label) == ("all", SLOW)]
    assert line.half_width == pytest.approx(0.04, rel=0.1)
    assert line.rows_needed == pytest.approx(fine.rows, rel=0.02) and line.by_hand > line.rows_needed
    phases = [one for one in fine.expected if (one.group, one.label) == ("phase", SLOW)]
    assert [one.value for one in phases] == ["PHASE1", "PHASE2", "PHASE3"]
    assert sum(one.trials for one in phases) == 2000
    assert sum(one.gold for one in phases) == pytest.approx(fine.rows, rel=0.1)
    assert all(one.half_width > line.half_width for one in phases)


def test_what_a_plan_is_not_given_for(registry, tmp_path) -> None:
    for settings, more, said in (
        (PlanSettings(rows=3000), {}, "--rows 3,000: there are 2,000 rows"),
        (PlanSettings(rows=100, precision=0.1), {}, "--precision or --rows, not both"),
        (PlanSettings(), {"of": ["Safety"]}, "--of Safety: no such class; did you mean 'Safety_Side"),
        (PlanSettings(), {"where": "phase = 'PHASE9'"}, "no labelled trial matches"),
    ):
        with pytest.raises(UsageError, match=said):
            plan_estimate(registry.labels, settings=settings, **more)
    with pytest.raises(UsageError, match=r"the sheet must be a \.csv file"):
        plan_estimate(registry.labels, tmp_path / "sheet.xlsx")
    (tmp_path / "sheet.csv").write_text("hours of work")
    with pytest.raises(UsageError, match="exists, perhaps with hand labels in it"):
        plan_estimate(registry.labels, tmp_path / "sheet.csv")
    assert (tmp_path / "sheet.csv").read_text() == "hours of work"
    pl.read_parquet(registry.labels).drop("text").write_parquet(tmp_path / "bare.parquet")
    with pytest.raises(UsageError, match="no column text"):
        plan_estimate(tmp_path / "bare.parquet", tmp_path / "new.csv")


def test_known_labels_are_not_drawn(registry, tmp_path) -> None:
    known = pl.DataFrame({"nct_id": [*registry.true][:1500], "labels": [*registry.true.values()][:1500]})
    known.write_csv(tmp_path / "known.csv")
    plan = plan_estimate(
        registry.labels, tmp_path / "s.csv", known=tmp_path / "known.csv", settings=PlanSettings(rows=100)
    )
    assert (plan.trials, plan.known) == (500, 1500)
    drawn = pl.read_csv(registry.fill(tmp_path / "s.csv"))
    assert not set(drawn["nct_id"]) & set(known["nct_id"])
    found = estimate(registry.labels, tmp_path / "s.csv", known=tmp_path / "known.csv")
    assert (found.trials, found.known, found.outside) == (2000, 1500, 0)
    plain = estimate(registry.labels, registry.fill(_plan(registry, tmp_path / "t.csv", 100)))
    for one, other in zip(found.shares[:4], plain.shares[:4], strict=True):
        assert one.high - one.low < 0.5 * (other.high - other.low)  # a quarter of the rows is estimated
    for one in found.shares:
        if one.label == SLOW:
            assert one.low <= true_share(registry, {SLOW}) <= one.high


def _plan(registry, path, rows):
    plan_estimate(registry.labels, path, settings=PlanSettings(rows=rows))
    return path


def test_shares_hold_the_truth(result, registry) -> None:
    trials = pl.read_parquet(registry.trials)
    groups = {("all", "all"): set(trials["nct_id"])}
    groups |= {
        ("start_year", year): set(trials.filter(start_year=year)["nct_id"])
        for year in trials["start_year"].unique()
    }
    for country in ("Peru", "France"):
        there = trials.filter(pl.col("countries").list.contains(country))
        groups["countries", country] = set(there["nct_id"])
    groups["countries", "not given"] = set(trials.filter(pl.col("countries").list.len() == 0)["nct_id"])
    held = []
    for one in result.shares:
        names = {SAFETY, SLOW} if one.label == "either" else {one.label}
        if (one.group, one.value) not in groups:
            continue
        ids = groups[one.group, one.value]
        assert one.trials == len(ids)
        assert 0 <= one.low <= one.share <= one.high <= 1
        held.append(one.low <= true_share(registry, names, ids) <= one.high)
    assert len(held) == 18 * (1 + 6 + 3) and np.mean(held) > 0.93
    assert {one.value for one in result.shares if one.group == "countries"} == {"Peru", "France", "not given"}


def test_differences_and_trends(result, registry) -> None:
    sponsors = [one for one in result.differences if one.group == "sponsor"]
    assert {one.reference for one in sponsors} == {None} and len(sponsors) == 3 * 18
    years = [one for one in result.differences if one.group == "start_year"]
    assert {one.reference for one in years} == {"2016"} and "2016" not in {one.value for one in years}
    for one in result.differences:
        assert one.low <= one.difference <= one.high
        assert (one.p < 0.05) == (one.low > 0 or one.high < 0)
        assert one.p <= one.p_holm <= min(18 * one.p, 1) + 1e-12
        assert one.ratio is None or one.ratio_low <= one.ratio
    assert np.mean([one.p < 0.05 for one in result.differences]) < 0.1  # groups are alike: drawn by lot
    assert {(one.group, one.first, one.last, one.years) for one in result.trends} == {
        ("start_year", 2015, 2020, 6)
    }
    assert len(result.trends) == 18 and all(one.low <= one.per_year <= one.high for one in result.trends)
    # All others are the rest: of two groups one difference is minus the other's.
    pair = estimate(
        registry.labels,
        registry.folder / "gold.csv",
        trials=registry.trials,
        where="sponsor != 'NIH'",
        compare=["sponsor"],
    )
    one, other = ([line for line in pair.differences if line.value == name] for name in ("INDUSTRY", "OTHER"))
    for mine, theirs in zip(one, other, strict=True):
        assert (mine.difference, mine.low, mine.p) == pytest.approx(
            (-theirs.difference, -theirs.high, theirs.p), abs=1e-9
        )


@pytest.mark.parametrize("alternative", ["larger", "smaller"])
def test_one_sided_bounds_are_those_of_the_wider_level(registry, gold, alternative) -> None:
    one = estimate(registry.labels, gold, settings=EstimateSettings(alternative=alternative))
    two = estimate(registry.labels, gold, settings=EstimateSettings(level=0.9))
    for mine, theirs in zip(one.shares, two.shares, strict=True):
        if alternative == "larger":
            assert (mine.low, mine.high) == (pytest.approx(theirs.low), 1)
        else:
            assert (mine.low, mine.high) == (0, pytest.approx(theirs.high))
    assert "one-sided" in one.paragraph and "one-sided" not in two.paragraph


@pytest.mark.parametrize("method", ["hand", "exact", "stratified", "ppi"])
def test_the_method_that_was_asked_for(registry, gold, method) -> None:
    found = estimate(registry.labels, gold, settings=EstimateSettings(method=method, level=0.99))
    [slow] = [one for one in found.shares if one.label == SLOW]
    assert slow.method == method and slow.low <= true_share(registry, {SLOW}) <= slow.high


def test_ppi_needs_probabilities(registry, gold, tmp_path) -> None:
    pl.read_parquet(registry.labels).with_columns(probabilities=None).drop("probabilities").write_parquet(
        tmp_path / "bare.parquet"
    )
    task = load_task("stop-reasons")
    with pytest.raises(UsageError, match=r"--method ppi: .* has no probabilities"):
        estimate(tmp_path / "bare.parquet", gold, task=task, settings=EstimateSettings(method="ppi"))
    found = estimate(tmp_path / "bare.parquet", gold, task=task)
    assert {one.method for one in found.shares} <= {"stratified", "hand"}
    plan = plan_estimate(tmp_path / "bare.parquet", task=task, settings=PlanSettings(rows=200))
    assert plan.assumed_probabilities


def test_draws_of_a_condition_answer_it_alone(registry, tmp_path) -> None:
    where = "start_year < '2018'"
    plan = plan_estimate(
        registry.labels,
        tmp_path / "s.csv",
        trials=registry.trials,
        where=where,
        settings=PlanSettings(rows=200),
    )
    registry.fill(tmp_path / "s.csv")
    found = estimate(registry.labels, tmp_path / "s.csv", trials=registry.trials, where=where)
    assert found.trials == plan.trials < 1200 and found.gold.labelled == 200
    assert f"({where})" in found.paragraph
    with pytest.raises(DataError, match="with the same --where"):
        estimate(registry.labels, tmp_path / "s.csv")


@pytest.mark.parametrize("rows", [0, 1, 12])
def test_groups_with_too_few_gold_rows_have_no_interval(registry, gold, tmp_path, rows) -> None:
    """A sponsor of which so many gold rows are labelled says how many more it takes."""
    drawn = pl.read_csv(gold)["nct_id"]
    few = {*drawn[:rows], *(one for one in registry.true if one not in set(drawn))}
    groups = pl.DataFrame({"nct_id": [*registry.true]}).with_columns(
        site=pl.when(pl.col("nct_id").is_in([*few])).then(pl.lit("few")).otherwise(pl.lit("many"))
    )
    groups.write_parquet(tmp_path / "sites.parquet")
    found = estimate(registry.labels, gold, trials=tmp_path / "sites.parquet", by=["site"], compare=["site"])
    lines = [one for one in found.shares if one.value == "few"]
    assert {one.gold for one in lines} == {rows}
    if rows < 10:
        assert {(one.share, one.low, one.high, one.method, one.more) for one in lines} == {
            (None, None, None, "none", 10 - rows)
        }
        assert any(
            re.search(rf"few: {rows} gold rows?, {10 - rows} more needed", note) for note in found.notes
        )
        assert not found.differences
    else:
        assert all(one.share is not None for one in lines) and found.differences


def test_the_result_is_its_file(result, tmp_path) -> None:
    result.save(tmp_path / "estimate.json")
    assert EstimateResult.load(tmp_path / "estimate.json") == result
    json.loads((tmp_path / "estimate.json").read_text())


def test_the_paragraph_has_every_number(result) -> None:
    for said in (
        "Each of 2,000 trials was labelled for stop-reasons (17 labels) by classifier f00d",
        "400 trials, drawn at random from 8 strata with known drawing probabilities, were labelled by hand",
        "Intervals are two-sided at the 95% level",
        "Holm's method (1979)",
        "weighted least-squares slopes",
    ):
        assert said in result.paragraph
    counted = [one.method for one in result.shares if one.group == "all"]
    assert sum(f"({counted.count(name)} of 18 classes)" in result.paragraph for name in set(counted)) == len(
        set(counted)
    )


def test_what_was_not_labelled_is_said(registry, gold, tmp_path) -> None:
    sheet = pl.read_csv(gold, infer_schema=False).with_columns(
        labels=pl.when(pl.int_range(pl.len()).is_between(1, 3) | (pl.int_range(pl.len()) >= 380))
        .then(None)
        .otherwise("labels"),
        text_hash=pl.when(pl.int_range(pl.len()) == 9).then(pl.lit("e" * 16)).otherwise("text_hash"),
    )
    sheet.write_csv(tmp_path / "part.csv")
    found = estimate(registry.labels, tmp_path / "part.csv")
    said = " ".join(found.notes)
    assert "20 of 400 drawn rows are not labelled yet" in said
    assert "3 drawn rows were skipped" in said
    assert "1 labelled rows are left out: their text has changed" in said
    assert found.gold.labelled == 376


def test_questions_that_cannot_be_answered(registry, gold) -> None:
    for asked, said in (
        ({"compare": ["sponsor=X"]}, "--compare sponsor=X: no trial has this value; choose one of INDUSTRY"),
        ({"compare": ["countries=Peru"]}, "a trial may have several values of countries"),
        ({"by": ["sponser"]}, "did you mean 'sponsor'"),
        ({"combine": ["x=Safety"]}, "no label 'Safety'"),
    ):
        with pytest.raises(UsageError, match=said):
            estimate(registry.labels, gold, trials=registry.trials, **asked)
    with pytest.raises(UsageError, match="give --gold, or --known"):
        estimate(registry.labels)
