"""`trialtune classifiers`: all of them, and one with its labels."""

import json

from typer.testing import CliRunner

from trialtune.cli import app
from trialtune.tasks.catalog import load_task


def test_one_classifier_is_shown_with_its_labels_and_scores() -> None:
    for name in ("stop-reasons", "sex"):
        shown = CliRunner().invoke(app, ["classifiers", name, "--json"])
        about = json.loads(shown.stdout)
        assert about["definitions"] == dict(load_task(name).labels)
        assert about in [
            {**one, "kind": about["kind"], "definitions": about["definitions"]}
            for one in json.loads(CliRunner().invoke(app, ["classifiers", "--json"]).stdout)
        ]
        read = CliRunner().invoke(app, ["classifiers", name], env={"COLUMNS": "200"}).stdout
        assert all(label in read for label in about["definitions"])
        assert f"micro-F1 {about['scores']['micro_f1']:.3f}" in read


def test_a_name_that_is_none() -> None:
    failed = CliRunner().invoke(app, ["classifiers", "phase"])
    assert "choose from sex, stop-reasons" in str(failed.exception)
