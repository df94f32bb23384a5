"""The audit finds what text and model say against the registry, and nothing it was trained on."""

import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest
from typer.testing import CliRunner

from trialtune.classifier.classifier import Classifier
from trialtune.cli import app
from trialtune.errors import DataError
from trialtune.stages.audit import COLUMNS, MIN_PROBABILITY, audit_sex, find_statements, scope
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task

TITLES = {"ALL": "Patients with diabetes", "FEMALE": "Female adults, women", "MALE": "Healthy men"}
JUDGED = Path(__file__).parents[2] / "docs" / "explanation" / "audit-sex.csv"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory, tiny_encoder) -> Classifier:
    """A tiny classifier that has learned three wordings."""
    letters = np.random.default_rng(0).choice(list("bcdfghklmnprstvwz"), (180, 2, 3))  # no near-duplicates
    rows = [
        {
            "nct_id": f"NCT{number:08}",
            "text": f"{text} {' '.join(map(''.join, letters[number]))}",
            "labels": [label],
        }
        for number, (label, text) in enumerate(list(TITLES.items()) * 60)
    ]
    folder = tmp_path_factory.mktemp("audit") / "clf"
    settings = FinetuneSettings(
        method="full", epochs=12, batch_size=16, learning_rate=3e-3, head_lr_multiplier=2, max_length=64
    )
    finetune(load_task("sex"), pl.DataFrame(rows), tiny_encoder, folder, settings=settings)
    return Classifier.from_pretrained(folder)


@pytest.fixture
def snapshot() -> pl.DataFrame:
    """Seven trials: two that contradict, one with an empty field, one seen in training."""
    rows = [
        ("NCT90000001", "Healthy men aged 70", "FEMALE"),
        ("NCT90000002", "Female adults, women aged 71", "All"),
        ("NCT90000003", "Healthy men aged 72", None),
        ("NCT90000004", "Healthy men aged 73", "MALE"),
        ("NCT90000005", "Adults aged 74", "MALE"),
        ("NCT90000006", "", "MALE"),
        ("NCT00000002", "Healthy men aged 30", "FEMALE"),
    ]
    return pl.DataFrame(rows, schema=["nct_id", "brief_title", "sex"], orient="row")


def test_contradictions_and_empty_fields_are_found(classifier, snapshot) -> None:
    chosen = scope(snapshot, classifier)
    assert chosen.counts == {"read": 7, "no_text": 1, "seen": 1, "to_score": 5, "field_empty": 1}
    found = audit_sex(find_statements(chosen.rows), classifier, min_probability=0.5)
    assert found.columns == list(COLUMNS)
    assert {row["nct_id"]: (row["registry"], row["model"]) for row in found.to_dicts()} == {
        "NCT90000001": ("FEMALE", "MALE"),
        "NCT90000002": ("ALL", "FEMALE"),
        "NCT90000003": (None, "MALE"),
    }
    assert found["sentence"].to_list() == [title for title in found["title"]]
    assert found["probability"].is_sorted(descending=True)
    everything = find_statements(scope(snapshot, classifier, include_seen=True).rows)
    assert set(everything["nct_id"]) - set(found["nct_id"]) == {"NCT00000002"}
    assert len(audit_sex(find_statements(chosen.rows), classifier, min_probability=1.0)) == 0


def test_a_table_that_is_no_snapshot_is_refused(classifier, snapshot) -> None:
    with pytest.raises(DataError, match="registry import"):
        scope(snapshot.drop("sex"), classifier)
    with pytest.raises(DataError, match=r"NCT90000001.*'rabbit'"):
        scope(snapshot.with_columns(sex=pl.lit("rabbit")), classifier)


def test_the_command_writes_a_page_and_a_table(classifier, snapshot, tmp_path) -> None:
    hostile = snapshot.with_columns(
        brief_title=pl.col("brief_title").str.replace("men aged 70", "men <script>alert(1)</script> aged 40")
    )
    hostile.write_parquet(tmp_path / "snap.parquet")
    arguments = [
        "audit",
        "sex",
        "snap.parquet",
        "--classifier",
        str(classifier.folder),
        "--out",
        "audit",
        "--json",
    ]
    with chdir(tmp_path):
        dry = CliRunner().invoke(app, [*arguments, "--dry-run"])
        assert json.loads(dry.stdout)["trials"]["to_score"] == 5
        assert not (tmp_path / "audit").exists()
        done = CliRunner().invoke(app, [*arguments, "--min-probability", "0.4"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    table = pl.read_parquet(tmp_path / "audit" / "audit.parquet")
    assert result["contradictions"] + result["field_empty"] == len(table) > 0
    page = (tmp_path / "audit" / "audit.html").read_text()
    assert "https://clinicaltrials.gov/study/NCT90000002" in page
    assert "<script>alert" not in page
    assert "http:" not in page.replace("https:", "")


def test_the_command_s_default_is_the_chosen_one() -> None:
    shown = CliRunner().invoke(app, ["audit", "sex", "--help"], env={"COLUMNS": "200"})
    assert f"default: {MIN_PROBABILITY}" in shown.output


def test_the_judged_findings_hold_what_the_documentation_says() -> None:
    judged = pl.read_csv(JUDGED)
    assert len(judged) == judged["nct_id"].n_unique() == 50
    told = JUDGED.with_suffix(".md").read_text(encoding="utf-8")
    for least in (0.0, MIN_PROBABILITY):
        for empty in (False, True):
            part = judged.filter((pl.col("probability") >= least) & (pl.col("registry").is_null() == empty))
            right = int((part["judged"] == "yes").sum())
            low, high = binomtest(right, len(part)).proportion_ci(method="wilson")
            assert f"{right} of {len(part)} ({low:.2f} to {high:.2f})" in told
