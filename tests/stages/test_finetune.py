"""Classifiers in every way of training them; tiny encoder, made-up reasons."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.evaluate import evaluate
from trialtune.classifier.prediction import probabilities_of
from trialtune.dataset.seen import drop_seen
from trialtune.errors import DataError
from trialtune.files import read_json
from trialtune.models.encoders import Encoder
from trialtune.models.sequence_classifier import build_classifier, learning_rates
from trialtune.models.settings import LoraSettings
from trialtune.stages.cross_validate import cross_validate
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task

TASK = load_task("stop-reasons")
REASONS = {
    "Insufficient_Enrollment": "recruitment was slow",
    "Business_Administrative": "funding ran out",
    "Safety_Sideeffects": "adverse events in patients",
}
QUICK = FinetuneSettings(
    method="full", epochs=2, batch_size=16, learning_rate=3e-3, head_lr_multiplier=2, calibration_share=0.3
)


@pytest.fixture(scope="module")
def reasons() -> pl.DataFrame:
    generator = np.random.default_rng(0)  # words of chance, so that no two rows are near-duplicates
    letters = generator.choice(list("abcdefghijklmnopqrstuvwxyz"), (90, 4, 6))
    rows = [
        {
            "nct_id": f"NCT{number:08d}",
            "text": f"{text} {' '.join(map(''.join, letters[number]))}",
            "labels": [label],
        }
        for number, (label, text) in enumerate(list(REASONS.items()) * 30)
    ]
    return pl.DataFrame(rows)


def train(reasons, encoder: str, out: Path, **settings):
    teachers = settings.pop("teachers", ())
    return finetune(
        TASK, reasons, encoder, out, settings=QUICK.model_copy(update=settings), teachers=teachers
    )


@pytest.fixture(scope="module")
def teacher(reasons, tiny_encoder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "classifier"
    train(reasons, tiny_encoder, out, epochs=6)
    return out


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_folder_opens_as_a_plain_transformers_model(reasons, tiny_encoder, tmp_path, method) -> None:
    train(reasons, tiny_encoder, tmp_path / "c", method=method)
    model, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "c", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert "library_name: transformers" in (tmp_path / "c" / "README.md").read_text()
    start = build_classifier(Encoder.open(tiny_encoder), list(TASK.labels), kind=TASK.kind, seed=QUICK.seed)
    layer = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(model.get_parameter(layer), start.get_parameter(layer))
    words = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(model.get_parameter(words), start.get_parameter(words))


def test_rows_are_drawn_evenly_when_there_are_too_many(reasons, tiny_encoder, tmp_path) -> None:
    rows = reasons.filter((pl.col("labels").list.first() == "Safety_Sideeffects") | (pl.int_range(90) < 60))
    settings = QUICK.model_copy(update={"epochs": 1})
    summary = finetune(TASK, rows, tiny_encoder, tmp_path / "c", settings=settings, max_train=50)
    assert summary.rows.train + summary.rows.calibration == 50
    assert len(pl.read_parquet(tmp_path / "c" / "seen.parquet")) == 50


def test_embeddings_can_be_trained_too(reasons, tiny_encoder, tmp_path) -> None:
    train(reasons, tiny_encoder, tmp_path / "c", train_embeddings=True)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "c")
    start = build_classifier(Encoder.open(tiny_encoder), list(TASK.labels), kind=TASK.kind, seed=QUICK.seed)
    words = "bert.embeddings.word_embeddings.weight"
    assert not torch.equal(model.get_parameter(words), start.get_parameter(words))


def test_a_student_learns_from_its_teacher_and_has_seen_what_it_saw(
    reasons, teacher, tiny_encoder, tmp_path
) -> None:
    half = reasons.head(45)
    train(half, tiny_encoder, tmp_path / "student", teachers=[teacher], distillation_alpha=1.0)
    assert read_json(tmp_path / "student" / "training.json")["teachers"] == [str(teacher)]
    unseen, seen = drop_seen(reasons, tmp_path / "student")
    assert unseen.is_empty() and len(seen) == len(reasons)
    train(half, tiny_encoder, tmp_path / "alone")
    weights = [
        AutoModelForSequenceClassification.from_pretrained(tmp_path / name).classifier.weight
        for name in ("student", "alone")
    ]
    assert not torch.equal(*weights)


def test_what_an_encoder_has_seen_counts_as_seen(reasons, teacher, tmp_path, caplog) -> None:
    """A classifier's folder is an encoder's, too, and its weights know its training rows."""
    other = reasons.with_columns(
        nct_id=pl.col("nct_id").str.replace("NCT0", "NCT9"), text=pl.col("text").str.reverse()
    )
    train(other, str(teacher), tmp_path / "c")
    assert "calibration rows: scores on them" not in caplog.text
    with pytest.raises(DataError, match="90 of 90 rows were seen in training"):
        evaluate(Classifier.from_pretrained(tmp_path / "c"), reasons)
    train(other, str(tmp_path / "c"), tmp_path / "grandchild")
    assert "was trained on" in caplog.text and "calibration rows: scores on them" in caplog.text
    assert drop_seen(reasons, tmp_path / "grandchild")[0].is_empty()
    with pytest.raises(DataError, match="trained as a classifier on 90 of these 90 rows"):
        cross_validate(TASK, reasons, str(teacher), tmp_path / "v", settings=QUICK, folds=3)


def test_a_teacher_of_another_task_is_refused(teacher, reasons, tiny_encoder, tmp_path) -> None:
    rows = reasons.with_columns(labels=pl.Series([["ALL"], ["MALE"], ["FEMALE"]] * 30))
    with pytest.raises(DataError, match="its labels"):
        finetune(
            load_task("sex"),
            rows,
            tiny_encoder,
            tmp_path / "c",
            settings=QUICK.model_copy(update={"max_length": 32}),
            teachers=[teacher],
        )


def test_early_stopping_keeps_the_weights_of_the_best_pass(reasons, tiny_encoder, tmp_path) -> None:
    summary = train(
        reasons, tiny_encoder, tmp_path / "c", epochs=30, early_stopping_patience=1, learning_rate=0.05
    )
    assert summary.kept_step < 30 * 4


def test_rates_fall_layer_by_layer(tiny_encoder) -> None:
    model = build_classifier(Encoder.open(tiny_encoder), ["a", "b"], kind="multi_class")
    rates = learning_rates(model, layerwise_lr_decay=0.5, head_lr_multiplier=10)
    assert rates.keys() == {name for name, _ in model.named_parameters()}
    assert rates["bert.encoder.layer.1.output.dense.weight"] == 1
    assert rates["bert.encoder.layer.0.output.dense.weight"] == 0.5
    assert rates["bert.embeddings.word_embeddings.weight"] == 0.25
    assert rates["classifier.weight"] == rates["bert.pooler.dense.weight"] == 10


def test_cross_validation_scores_every_row_once_and_goes_on_where_it_was(
    reasons, tiny_encoder, tmp_path
) -> None:
    summary = cross_validate(TASK, reasons, tiny_encoder, tmp_path, settings=QUICK, folds=3)
    rows = pl.read_parquet(tmp_path / "out_of_fold.parquet")
    assert sorted(rows["nct_id"]) == sorted(reasons["nct_id"])
    assert set(rows["fold"]) == {1, 2, 3}
    probabilities = probabilities_of(rows)
    assert probabilities.shape == (90, len(TASK.labels)) and (probabilities >= 0).all()
    parts = sorted((tmp_path / "folds").iterdir())
    assert [part.suffix for part in parts] == [".parquet"] * 3  # the folds' classifiers are dropped
    before = [part.stat().st_mtime_ns for part in parts[:2]]
    parts[2].unlink()
    again = cross_validate(TASK, reasons, tiny_encoder, tmp_path, settings=QUICK, folds=3)
    assert again == summary and pl.read_parquet(tmp_path / "out_of_fold.parquet").equals(rows)
    assert [part.stat().st_mtime_ns for part in parts[:2]] == before
    assert summary.n == 90
    assert len(pl.read_parquet(tmp_path / "suspects.parquet")) == summary.suspects


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16], ids=str)
def test_weights_stay_in_fp32_whatever_the_arithmetic_and_the_file(
    reasons, tiny_encoder, tmp_path, method, stored
) -> None:
    AutoModelForMaskedLM.from_pretrained(tiny_encoder, dtype=stored).save_pretrained(tmp_path / "e")
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path / "e")
    lora = LoraSettings(r=4, target_modules=("query",))
    train(reasons, str(tmp_path / "e"), tmp_path / "c", method=method, precision="bf16", lora=lora)
    trained = load_file(tmp_path / "c" / "model.safetensors")
    assert {value.dtype for value in trained.values()} == {torch.float32}
    start = Encoder.open(tmp_path / "e").load(AutoModel).state_dict()
    moved = {name for name, value in start.items() if not torch.equal(trained[f"bert.{name}"], value)}
    if method == "lora":  # what is frozen is as it was, not rounded by the arithmetic
        assert {name for name in moved if "pooler" not in name} == {
            f"encoder.layer.{number}.attention.self.query.weight" for number in range(2)
        }
    value = trained["bert.encoder.layer.1.attention.self.query.weight"]
    assert (value != value.to(torch.bfloat16).float()).float().mean() > 0.5


def test_folds_of_a_task_that_was_defined_anew_are_made_again(reasons, tiny_encoder, tmp_path) -> None:
    other = replace(TASK, max_length=TASK.max_length // 2)
    for task in (TASK, other):
        cross_validate(task, reasons, tiny_encoder, tmp_path, settings=QUICK, folds=2)
    assert len(list((tmp_path / "folds").iterdir())) == 4
