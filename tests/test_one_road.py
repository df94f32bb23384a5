"""`predict`, `apply`, the service and `predict_frame` say the same of every record, whatever it lacks."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from trialtune import Classifier, import_trials, read_snapshot
from trialtune.classifier.prediction import PREDICTION_SCHEMA
from trialtune.cli import app
from trialtune.server.app import ServiceSettings, build_app
from trialtune.stages.export import export

RECORDS = [
    {"nct_id": "NCT00000001", "why_stopped": "Slow  accrual &amp; funding ran out", "brief_title": "Dose"},
    {"nct_id": "NCT00000002", "brief_title": "A study of women", "conditions": ["Cancer", "Diabetes"]},
    {"nct_id": "NCT00000003", "text": "Sponsor decision. Pregnant women are excluded."},
    {"nct_id": "NCT00000004", "eligibility_criteria": "Inclusion Criteria:\n* men\n\nExclusion:\n* women"},
    {"nct_id": "NCT00000005", "why_stopped": "Safety concern", "text": "something else", "sex": "FEMALE"},
    {"nct_id": "NCT00000006", "overall_status": "COMPLETED", "interventions": ["Aspirin"]},
    {"nct_id": "NCT00000007", "why_stopped": " ", "eligibility_criteria": "Gender: Both", "text": "-"},
]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("snapshot")
    (folder / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    summary = import_trials(folder / "in.jsonl", folder / "snapshot.parquet")
    assert summary.kept == len(RECORDS), summary
    return folder / "snapshot.parquet"


@pytest.fixture(scope="module", params=["stop-reasons", "sex"])
def classifier(request, make_classifier, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("classifier")
    export(make_classifier(request.param, made / "torch"), made / "onnx", form="onnx")
    return made / "onnx"


def by_predict(classifier: Path, snapshot: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    arguments = ["predict", str(classifier), "--input", str(snapshot), "--output", str(out / "p.parquet")]
    done = CliRunner().invoke(app, [*arguments, *options])
    assert done.exit_code == 0, done.output
    return pl.read_parquet(out / "p.parquet").to_dicts()


def by_apply(classifier: Path, snapshot: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    arguments = ["apply", str(classifier), str(snapshot), "--out", str(out / "labelled")]
    done = CliRunner().invoke(app, [*arguments, *options])
    assert done.exit_code == 0, done.output
    return pl.read_parquet(out / "labelled" / "labels" / "*.parquet").to_dicts()


def by_service(classifier: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with TestClient(build_app([classifier], ServiceSettings())) as client:
        reply = client.post("/v1/predict", json={"records": records})
        assert reply.status_code == 200, reply.text
        [rows] = reply.json()["results"].values()
    return rows


def test_every_way_to_ask_gives_the_same_answers(classifier, snapshot, tmp_path) -> None:
    rows = read_snapshot(snapshot)
    opened = Classifier.from_pretrained(classifier)
    expected = opened.predict_frame(rows).to_dicts()
    assert [row["nct_id"] for row in expected] == [record["nct_id"] for record in RECORDS]
    with_text = {row["nct_id"][-1] for row in expected if row["text"]}
    assert with_text == ({"1", "5"} if opened.task.name == "stop-reasons" else set("12345"))
    ways = {
        "predict": by_predict(classifier, snapshot, tmp_path),
        "apply": by_apply(classifier, snapshot, tmp_path),
        "service": by_service(classifier, rows.to_dicts()),
    }
    for way, found in ways.items():
        assert len(found) == len(expected), way
        for ours, right in zip(found, expected, strict=True):
            assert list(ours) == list(PREDICTION_SCHEMA), way
            likely, stated = ours.pop("probabilities"), right["probabilities"]
            assert ours == {name: right[name] for name in ours}, way
            assert (likely is None) == (right["text"] is None), (way, ours["nct_id"])
            assert likely == (stated and pytest.approx(stated, abs=1e-6)), (way, ours["nct_id"])
            assert likely is None or list(likely) == list(opened.labels), way


SEXES = """
name: mixed
version: "1"
task: sex
description: whether a trial takes both sexes
source: this test
classes: {mixed: Both., single: One.}
labels:
  ALL: {target: mixed, source: both}
  FEMALE: {target: single, source: one}
  MALE: {target: single, source: one}
"""


def test_crosswalks_take_the_same_road(classifier, snapshot, tmp_path) -> None:
    opened = Classifier.from_pretrained(classifier)
    (tmp_path / "sexes.yaml").write_text(SEXES)
    named = ["open_targets", "fhir"] if opened.task.name == "stop-reasons" else [str(tmp_path / "sexes.yaml")]
    expected = opened.predict_frame(read_snapshot(snapshot), crosswalks=named)
    added = expected.columns[len(PREDICTION_SCHEMA) :]
    assert added and expected[added[0]].null_count() == expected["labels"].null_count()
    options = [part for name in named for part in ("--crosswalk", name)]
    for way in (by_predict, by_apply):
        found = way(classifier, snapshot, tmp_path, *options)
        assert [list(row) for row in found] == [expected.columns] * len(expected)
        for ours, right in zip(found, expected.to_dicts(), strict=True):
            for column in added:
                wanted = right[column]
                if wanted and "_probabilit" in column:
                    wanted = pytest.approx(wanted, abs=1e-5)
                assert ours[column] == wanted, (way, column)


def test_every_way_to_ask_gives_the_same_evidence(classifier, snapshot, tmp_path) -> None:
    opened = Classifier.from_pretrained(classifier)
    expected = opened.predict_frame(read_snapshot(snapshot), evidence=True).to_dicts()
    assert list(expected[0]) == [*PREDICTION_SCHEMA, "evidence"]
    stated = [one for row in expected for one in row["evidence"] or ()]
    assert any(one["text"] != row["text"] for row in expected for one in row["evidence"] or ())
    assert all({"label", "text", "start", "end"} == set(one) for one in stated)
    for way in (by_predict, by_apply):
        found = way(classifier, snapshot, tmp_path, "--evidence")
        assert [list(row) for row in found] == [list(row) for row in expected]
        assert [row["evidence"] for row in found] == [row["evidence"] for row in expected]
