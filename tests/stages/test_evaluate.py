"""Evaluation and prediction say the same: calibrated probabilities, tuned labels, rows to review."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from trialtune.classifier.classifier import open_classifier
from trialtune.dataset.seen import write_seen
from trialtune.dataset.tables import write_table
from trialtune.errors import DataError
from trialtune.evaluation.calibration import Calibration
from trialtune.evaluation.metrics import Evaluation
from trialtune.evaluation.thresholds import Decision
from trialtune.files import write_json
from trialtune.models.sequence_classifier import build_classifier, save_classifier
from trialtune.stages.evaluate import evaluate
from trialtune.stages.predict import predict
from trialtune.tasks.catalog import load_task

TEXTS = ["slow recruitment", "funding ran out", "safety concern", "lack of efficacy", "sponsor decision"]


@pytest.fixture(params=["stop-reasons", "sex"])
def classifier(request, tiny_encoder, tiny_tokenizer, tmp_path) -> Path:
    """A classifier folder with random answers, and a decision that moves them and doubts some."""
    task = load_task(request.param)
    labels = list(task.labels)
    model = build_classifier(tiny_encoder, labels, kind=task.kind, seed=1)
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    folder = tmp_path / "classifier"
    folder.mkdir()
    save_classifier(model, tiny_tokenizer, folder)
    rng = np.random.default_rng(0)
    Decision(
        task.kind,
        tuple(labels),
        tuple(rng.uniform(0.2, 0.5, len(labels))) if task.kind == "multi_label" else (),
        calibration=Calibration((0.5,) * len(labels), tuple(rng.normal(0, 0.5, len(labels)))),
        review_below=0.55,
    ).save(folder)
    write_json(folder / "training.json", {"task": task.name, "max_length": 32})
    return folder


def examples(folder: Path) -> pl.DataFrame:
    labels = open_classifier(folder)[0].labels
    return pl.DataFrame(
        {
            "nct_id": [f"NCT{number:08}" for number in range(len(TEXTS))],
            "text": TEXTS,
            "labels": [[labels[number % 3]] for number in range(len(TEXTS))],
        }
    )


def test_both_go_through_the_decision(classifier) -> None:
    predictor, decision, _ = open_classifier(classifier)
    raw = predictor.probabilities(TEXTS)
    expected = decision.apply(raw)
    assert np.abs(expected.probabilities - raw).max() > 0.05
    metrics, scored = evaluate(classifier, examples(classifier))
    told = predict(classifier, pl.DataFrame({"text": TEXTS}))
    np.testing.assert_allclose(scored["probabilities"].to_list(), expected.probabilities, atol=1e-6)
    np.testing.assert_allclose(told.select(predictor.labels).to_numpy(), expected.probabilities, atol=1e-6)
    assert told["labels"].to_list() == scored["predicted"].to_list()
    assert told["needs_review"].to_list() == scored["needs_review"].to_list()
    assert told["needs_review"].to_list() == expected.needs_review.tolist()
    assert metrics.review.share == expected.needs_review.mean()
    told = json.dumps(metrics.model_dump(mode="json"), allow_nan=False)
    assert Evaluation.model_validate(json.loads(told)) == metrics


def test_rows_seen_in_training_are_refused_or_left_out(classifier) -> None:
    rows = examples(classifier)
    write_seen(rows.head(2), classifier)
    with pytest.raises(DataError, match="2 of 5 rows were seen"):
        evaluate(classifier, rows)
    metrics, scored = evaluate(classifier, rows, drop_overlap=True)
    assert metrics.n == len(scored) == 3
    assert metrics.overlap_dropped == 2


def test_a_row_without_text_keeps_its_place(classifier, tmp_path) -> None:
    told = predict(classifier, pl.DataFrame({"text": ["slow recruitment", None, "  "]}))
    assert told["labels"].is_null().to_list() == [False, True, True]
    assert told["needs_review"].is_null().to_list() == [False, True, True]
    assert told[:, -1].is_null().to_list() == [False, True, True]
    write_table(told, tmp_path / "told.csv")
    assert pl.read_csv(tmp_path / "told.csv")["needs_review"].dtype == pl.Boolean
    nothing = predict(classifier, pl.DataFrame({"text": [None]}, schema={"text": pl.String}))
    assert nothing["labels"].to_list() == [None]


def test_a_decision_of_another_classifier_is_refused(classifier) -> None:
    path = classifier / "decision.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "labels": content["labels"][::-1]}))
    with pytest.raises(DataError, match=r"decision\.json: its labels"):
        predict(classifier, pl.DataFrame({"text": TEXTS}))
