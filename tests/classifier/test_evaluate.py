"""Evaluation and prediction say the same: calibrated probabilities, tuned labels, rows to review."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.evaluate import evaluate
from trialtune.classifier.named import open_folder
from trialtune.classifier.prediction import probabilities_of
from trialtune.dataset.seen import write_seen
from trialtune.dataset.tables import write_table
from trialtune.errors import DataError
from trialtune.evaluation.decision import Calibration, Decision
from trialtune.evaluation.metrics import Evaluation
from trialtune.tasks.catalog import load_task

TEXTS = ["slow recruitment", "funding ran out", "safety concern", "lack of efficacy", "sponsor decision"]


@pytest.fixture(params=["stop-reasons", "sex"])
def classifier(request, make_classifier, tmp_path) -> Path:
    """A classifier folder with random answers, and a decision that moves them and doubts some."""
    task = load_task(request.param)
    labels = list(task.labels)
    rng = np.random.default_rng(0)
    rule = Decision(
        task.kind,
        tuple(labels),
        tuple(rng.uniform(0.2, 0.5, len(labels))) if task.kind == "multi_label" else (),
        calibration=Calibration((0.5,) * len(labels), tuple(rng.normal(0, 0.5, len(labels)))),
        review_below=0.55,
    )
    return make_classifier(task, tmp_path / "classifier", decision=rule)


def examples(folder: Path) -> pl.DataFrame:
    labels = open_folder(folder).decision.labels
    return pl.DataFrame(
        {
            "nct_id": [f"NCT{number:08}" for number in range(len(TEXTS))],
            "text": TEXTS,
            "labels": [[labels[number % 3]] for number in range(len(TEXTS))],
        }
    )


def test_both_go_through_the_decision(classifier) -> None:
    opened = Classifier.from_pretrained(classifier)
    raw = opened.raw_probabilities(TEXTS)
    expected = opened.decision.apply(raw)
    assert np.abs(expected.probabilities - raw).max() > 0.05
    metrics, scored = evaluate(Classifier.from_pretrained(classifier), examples(classifier))
    told = Classifier.from_pretrained(classifier).predict_frame(pl.DataFrame({"text": TEXTS}))
    np.testing.assert_allclose(probabilities_of(scored), expected.probabilities, atol=1e-6)
    np.testing.assert_allclose(
        told["probabilities"].struct.unnest().to_numpy(), expected.probabilities, atol=1e-6
    )
    assert told["labels"].to_list() == scored["labels"].to_list()
    assert told["needs_review"].to_list() == scored["needs_review"].to_list()
    assert told["needs_review"].to_list() == expected.needs_review.tolist()
    assert metrics.review.share == expected.needs_review.mean()
    told = json.dumps(metrics.model_dump(mode="json"), allow_nan=False)
    assert Evaluation.model_validate(json.loads(told)) == metrics


def test_rows_seen_in_training_are_refused_or_left_out(classifier) -> None:
    rows = examples(classifier)
    write_seen(rows.head(2), classifier)
    with pytest.raises(DataError, match="2 of 5 rows were seen"):
        evaluate(Classifier.from_pretrained(classifier), rows)
    metrics, scored = evaluate(Classifier.from_pretrained(classifier), rows, drop_overlap=True)
    assert metrics.n == len(scored) == 3
    assert metrics.overlap_dropped == 2


def test_a_row_without_text_keeps_its_place(classifier, tmp_path) -> None:
    told = Classifier.from_pretrained(classifier).predict_frame(
        pl.DataFrame({"text": ["slow recruitment", None, "  "]})
    )
    assert told["labels"].is_null().to_list() == [False, True, True]
    assert told["needs_review"].is_null().to_list() == [False, True, True]
    assert told["probabilities"].is_null().to_list() == [False, True, True]
    write_table(told, tmp_path / "told.csv")
    assert pl.read_csv(tmp_path / "told.csv")["needs_review"].dtype == pl.Boolean
    nothing = Classifier.from_pretrained(classifier).predict_frame(
        pl.DataFrame({"text": [None]}, schema={"text": pl.String})
    )
    assert nothing["labels"].to_list() == [None]


def test_a_decision_of_another_classifier_is_refused(classifier) -> None:
    path = classifier / "decision.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "labels": content["labels"][::-1]}))
    with pytest.raises(DataError, match=r"decision\.json: its labels"):
        Classifier.from_pretrained(classifier).predict_frame(pl.DataFrame({"text": TEXTS}))
