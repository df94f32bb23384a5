"""Targets from teachers: folders, files of answers, texts that have no label."""

import numpy as np
import polars as pl
import pytest

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.prediction import text_hash
from trialtune.dataset.extra_texts import ExtraTexts, read_texts
from trialtune.dataset.seen import drop_seen
from trialtune.errors import DataError
from trialtune.files import read_json
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.stages.teachers import Answers
from trialtune.tasks.catalog import load_task

TASK = load_task("stop-reasons")
LABELS = list(TASK.labels)
QUICK = FinetuneSettings(method="full", epochs=1, batch_size=16, learning_rate=3e-3, calibration_share=0.3)
ROWS = pl.DataFrame(
    {
        "nct_id": [f"NCT{number:08d}" for number in range(60)],
        "text": [
            f"{reason} {number} weeks" for number in range(20) for reason in ("slow", "funding", "adverse")
        ],
        "labels": [[label] for label in ("Insufficient_Enrollment", "Negative", "Safety_Sideeffects")] * 20,
    }
)


def answers(path, texts, probability=0.25, labels=LABELS):
    rows = [dict.fromkeys(labels, probability)] * len(texts)
    pl.DataFrame({"text_hash": [text_hash(text) for text in texts], "probabilities": rows}).write_parquet(
        path
    )
    return path


def test_a_folder_and_the_file_of_its_predictions_say_the_same(make_classifier, tmp_path) -> None:
    folder = make_classifier(TASK, tmp_path / "teacher")
    classifier = Classifier.from_pretrained(folder)
    texts = ROWS["text"].to_list()
    classifier.predict_frame(ROWS).write_parquet(tmp_path / "predicted.parquet")
    by_folder, by_file = (
        Answers.of([place], texts, LABELS).probabilities for place in (folder, tmp_path / "predicted.parquet")
    )
    assert np.allclose(by_folder, by_file, atol=2e-6)


def test_the_mean_is_of_those_that_answer(tmp_path) -> None:
    one, two = answers(tmp_path / "1.parquet", ["a", "b"], 0.2), answers(tmp_path / "2.parquet", ["b"], 0.6)
    found = Answers.of([one, two], ["a", "b", "c"], LABELS)
    assert np.allclose(found.probabilities[:2, 0], [0.2, 0.4]) and np.isnan(found.probabilities[2]).all()
    hard = np.ones((3, len(LABELS)))
    assert np.allclose(found.mixed_into(hard, 0.5)[:, 0], [0.6, 0.7, 1.0])
    with pytest.raises(DataError, match="1 of 2 texts without labels have no teacher's prediction"):
        found.of_unlabelled(1)


def test_what_is_no_file_of_answers_is_refused(tmp_path) -> None:
    ROWS.write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="text_hash and probabilities"):
        Answers.of([tmp_path / "rows.parquet"], ["a"], LABELS)
    with pytest.raises(DataError, match="its labels"):
        Answers.of([answers(tmp_path / "other.parquet", ["a"], labels=["X"])], ["a"], LABELS)


def test_texts_without_labels_are_trained_on_counted_and_seen(tiny_encoder, tmp_path) -> None:
    more = ("sponsor decision", "lack of efficacy")
    given = answers(tmp_path / "answers.parquet", [*ROWS["text"], *more], 0.9)
    cakes = tuple(f"a cake of {number} eggs" for number in range(60))
    settings = QUICK.model_copy(update={"epochs": 20, "distillation_alpha": 1.0})
    raw = {}
    for name, extra in (("sure", ExtraTexts(more)), ("unsure", ExtraTexts(more, cakes))):
        out = tmp_path / name
        result = finetune(TASK, ROWS, tiny_encoder, out, settings=settings, teachers=[given], extra=extra)
        raw[name] = Classifier.from_pretrained(out).raw_probabilities([more[0], cakes[0]])
    assert (result.rows.unlabelled, result.rows.outliers) == (2, 60)
    assert read_json(out / "training.json")["rows"]["unlabelled"] == 2
    seen = pl.DataFrame({"nct_id": [None] * 3, "text": [*more, "A cake of 7 eggs!"]})
    assert drop_seen(seen, out)[0].is_empty()
    assert raw["sure"].mean() > 0.6 and raw["unsure"].mean() < raw["sure"].mean() - 0.1


def test_calibration_rows_may_be_given_but_not_trained_on(tiny_encoder, tmp_path) -> None:
    train, aside = ROWS.head(42), ROWS.tail(18)
    result = finetune(TASK, train, tiny_encoder, tmp_path / "c", settings=QUICK, calibration=aside)
    assert (result.rows.train, result.rows.calibration) == (42, 18)
    assert drop_seen(ROWS, tmp_path / "c")[0].is_empty()
    with pytest.raises(DataError, match="18 of 60 rows of the rows"):
        finetune(TASK, ROWS, tiny_encoder, tmp_path / "d", settings=QUICK, calibration=aside)
    more = ExtraTexts(outliers=(aside["text"][0].upper(),))
    with pytest.raises(DataError, match="1 of 1 rows of the extra texts"):
        finetune(TASK, train, tiny_encoder, tmp_path / "d", settings=QUICK, calibration=aside, extra=more)


def test_texts_are_read_of_tables_and_lines(tmp_path) -> None:
    (tmp_path / "lines.txt").write_text("slow accrual\n\nslow accrual\nfunding\n")
    pl.DataFrame({"why_stopped": ["NA", "funding", "safety"]}).write_csv(tmp_path / "t.csv")
    assert read_texts([tmp_path / "lines.txt", tmp_path / "t.csv"], TASK) == (
        "slow accrual",
        "funding",
        "safety",
    )
    with pytest.raises(DataError, match="has no text"):
        read_texts([tmp_path / "t.csv"])
