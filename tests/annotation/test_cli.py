"""`trialtune annotate`, as it is called wrongly; and answers that go on to training."""

import json

import httpx
import polars as pl
import pytest
from typer.testing import CliRunner

from trialtune.annotation.labels_file import LabelsFile
from trialtune.annotation.pool import read_pool
from trialtune.cli import app
from trialtune.cli.failures import explain
from trialtune.dataset.answers import Answer
from trialtune.dataset.reading import read_examples
from trialtune.errors import UsageError


@pytest.fixture
def own(tmp_path, task):
    described = {"name": "own", "kind": task.kind, "labels": dict(task.labels)}
    (tmp_path / "own.yaml").write_text(json.dumps(described))
    return tmp_path / "own.yaml"


def refused(*arguments) -> tuple[str, int]:
    done = CliRunner().invoke(app, ["annotate", *map(str, arguments), "--port", "0"])
    assert done.exit_code != 0
    return (
        (done.output, done.exit_code) if isinstance(done.exception, SystemExit) else explain(done.exception)
    )


def test_what_is_asked_for_wrongly(own, task, tmp_path, pool_file) -> None:
    out = tmp_path / "labels.csv"
    data = pool_file(3, stratum=["x"] * 3, drawing_probability=[0.5] * 3)
    for given, said, code in (
        (["--data", data, "--suggest"], "a sample sheet must be labelled without", 2),
        (["--data", data, "--review"], "has no columns needs_review and labels", 2),
        (["--data", data, "--review", "--adjudicate"], "not both", 2),
        (["--data", data, "--mix", "often=1"], "'often' is not one of random, uncertain, rare", 2),
        (["--data", data, "--mix", "random=0,uncertain=1", "--double", "0.1"], "more than the share", 2),
        (["--data", data, "--mix", "random"], "write random=", 2),
        (["--data", tmp_path / "none.csv"], "no such file", 1),
        (["--adjudicate"], "annotators do not disagree on any of its texts", 1),
        ([], "no data; give --data", 2),
    ):
        message, exit_code = refused(own, "--out", out, *given)
        assert said in " ".join(message.split()) and exit_code == code, message
    held = LabelsFile(out, task)
    message, code = refused(own, "--out", out, "--data", data)
    assert "in use by another process" in message and code == 2
    held.close()


def test_other_sites_reach_neither_page_nor_file(labelling, task, pool_file) -> None:
    with (
        labelling(task, read_pool(task, pool_file(3))) as running,
        httpx.Client(base_url=running.address) as client,
    ):
        assert client.get("/v1/session").json()["texts"] == 3
        assert client.get("/v1/session", headers={"host": "elsewhere.example"}).status_code == 400
        item = client.get("/v1/next").json()
        body = {"place": item["place"], "text_hash": item["text_hash"], "labels": ["money"]}
        plain = client.post("/v1/answers", content=json.dumps(body), headers={"content-type": "text/plain"})
        assert plain.status_code == 415
        for change, status in (
            ({"labels": ["monye"]}, 422),
            ({"status": "adjudicated"}, 422),
            ({"text_hash": "0"}, 409),
            ({"more": 1}, 422),
        ):
            told = client.post("/v1/answers", json=body | change)
            assert told.status_code == status and told.json()["detail"], told.text
        assert client.post("/v1/answers", json=body).json()["rows"] == 1
    assert len(pl.read_csv(running.out)) == 1


def test_corrections_of_predictions_go_into_training(own, task, tmp_path) -> None:
    file = LabelsFile(tmp_path / "labels.csv", task, passed=("stratum", "drawing_probability"))
    passed = {"stratum": "x", "drawing_probability": "0.25"}
    file.append([Answer("NCT00000001", "a", ("money",), "Ada", reviewed=True, drawn="listed", passed=passed)])
    file.close()
    rows = pl.read_csv(tmp_path / "labels.csv", infer_schema=False).to_dicts()
    assert rows[0]["reviewed"] == "true" and rows[0]["drawing_probability"] == "0.25"
    read = read_examples(task, tmp_path / "labels.csv", None, quarantine=tmp_path / "q.jsonl")
    assert read.frame["labels"].to_list() == [["money"]]
    with pytest.raises(UsageError, match="pass it as --data"):
        read_examples(task, tmp_path / "labels.csv", tmp_path / "labels.csv", quarantine=tmp_path / "q.jsonl")
    again = LabelsFile(tmp_path / "labels.csv", task)
    again.append([Answer("NCT00000002", "b", ("people",), "Ada")])
    assert [answer.passed.get("stratum") for answer in again.answers] == ["x", None]
    again.close()
