"""Classifiers from few labels: the method chosen, the folder, and rows that are odd."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.evaluate import evaluate
from trialtune.dataset.extra_texts import ExtraTexts
from trialtune.dataset.seen import write_seen
from trialtune.errors import DataError, UsageError
from trialtune.evaluation.training_result import TrainingResult
from trialtune.stages import few_labels, weighed
from trialtune.stages.cross_validate import cross_validate
from trialtune.stages.export import export
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task, task_from_spec
from trialtune.tasks.spec import TaskSpec
from trialtune.tasks.stop_reasons.task import load_gold
from trialtune.tasks.task import Task

OPENINGS = ("Study halted:", "Trial ended since", "Closed early,", "Stopped;", "Terminated because")
REASONS = {
    "people": ("too few patients enrolled", "accrual was slow", "nobody could be recruited"),
    "money": ("funding ran out", "the sponsor withdrew support", "budget cuts at the company"),
    "harm": ("unexpected liver toxicity", "two deaths on the drug arm", "serious adverse events"),
}
PLACES = ("Paris", "Boston", "Kyoto", "Cairo", "Lagos", "Turin")


def task_of(kind: str, labels: tuple[str, ...] = tuple(REASONS)) -> Task:
    return task_from_spec(TaskSpec(name="mine", kind=kind, labels=labels, max_length=64))


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """90 rows of three labels; no two nearly the same."""
    found = [
        (f"{opening} {reason} ({place})", [label])
        for opening in OPENINGS
        for place in PLACES
        for label, reasons in REASONS.items()
        for reason in reasons
    ]
    drawn = np.random.default_rng(1).permutation(len(found))[:90]
    return pl.DataFrame(
        {
            "nct_id": [f"NCT{number:08d}" for number in drawn],
            "text": [found[number][0] for number in drawn],
            "labels": [found[number][1] for number in drawn],
        }
    )


def train(rows: pl.DataFrame, out: Path, *, task: Task | None = None, **settings: object) -> TrainingResult:
    told = FinetuneSettings.model_validate({"method": "shipped", **settings})
    return finetune(task or task_of("multi_class"), rows, "embedded:minilm-l6", out, settings=told)


@pytest.fixture(scope="module")
def folder(rows, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("few") / "c"
    train(rows, out)
    return out


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
@pytest.mark.parametrize("method", ["shipped", "tf-idf"])
def test_a_classifier_of_a_graph_comes_out(rows, tmp_path, kind, method) -> None:
    result = train(rows, tmp_path / "c", task=task_of(kind), method=method)
    assert result.method == method and result.folds == 5
    assert result.rows.train == result.rows.calibration == len(rows)
    assert result.choice[0].chosen and {one.method for one in result.choice} == {method}
    classifier = Classifier.from_pretrained(tmp_path / "c")
    [said] = classifier.predict(["The study ended: funding ran out"])
    assert said.labels == ("money",)
    session = onnxruntime.InferenceSession(str(tmp_path / "c" / "model.onnx"))
    assert {one.name for one in session.get_inputs()} == {"input_ids", "attention_mask"}
    card = (tmp_path / "c" / "README.md").read_text()
    assert "library_name: onnx" in card and "5-fold cross-validation" in card and "(chosen)" in card
    again = train(rows, tmp_path / "again", task=task_of(kind), method=method)
    assert Classifier.from_pretrained(tmp_path / "again").fingerprint == classifier.fingerprint
    assert again.calibration == result.calibration


def test_other_commands_take_it(folder, rows, tmp_path) -> None:
    classifier = Classifier.from_pretrained(folder)
    with pytest.raises(DataError, match="90 of 90 rows were seen in training"):
        evaluate(classifier, rows)
    fresh = rows.with_columns(
        nct_id=pl.col("nct_id").str.replace("NCT0", "NCT9"), text="After review " + pl.col("text")
    )
    metrics, _ = evaluate(classifier, fresh)
    assert metrics.micro_f1 > 0.9
    [said] = classifier.predict([fresh["text"][0]], evidence=True)
    assert said.evidence
    with pytest.raises(DataError, match="an ONNX classifier already"):
        export(folder, tmp_path / "e", form="onnx")
    classifier.save_pretrained(tmp_path / "copy")
    assert Classifier.from_pretrained(tmp_path / "copy").fingerprint == classifier.fingerprint


def test_rows_that_the_shipped_classifier_knows_are_counted(folder, rows, tmp_path, caplog) -> None:
    known = load_gold().filter(split="train")["nct_id"].unique(maintain_order=True).head(30)
    fresh = rows.with_columns(text="After review " + pl.col("text"))
    mixed = fresh.head(50).with_columns(
        nct_id=pl.concat([known, fresh["nct_id"].str.replace("NCT0", "NCT9").slice(30, 20)])
    )
    metrics, _ = evaluate(Classifier.from_pretrained(folder), mixed)
    assert (metrics.n, metrics.seen_by_foundation, metrics.overlap_dropped) == (50, 30, 0)
    assert "30 of the 50 rows were seen in training by the classifier that" in caplog.text
    Classifier.from_pretrained(folder).save_pretrained(tmp_path / "copy")
    copied, _ = evaluate(Classifier.from_pretrained(tmp_path / "copy"), mixed)
    assert copied.seen_by_foundation == 30


def test_an_encoder_that_was_a_classifier_brings_what_it_has_seen(rows, tiny_encoder, tmp_path) -> None:
    encoder = tmp_path / "encoder"
    shutil.copytree(tiny_encoder, encoder)
    others = rows.with_columns(
        nct_id=pl.col("nct_id").str.replace("NCT0", "NCT7"), text="Of old, " + pl.col("text")
    )
    write_seen(others, encoder)
    settings = FinetuneSettings(method="read-out")
    finetune(task_of("multi_class"), rows, encoder, tmp_path / "c", settings=settings)
    with pytest.raises(DataError, match="90 of 90 rows were seen in training"):
        evaluate(Classifier.from_pretrained(tmp_path / "c"), others)


def test_the_shipped_task_has_seen_what_the_shipped_classifier_saw(rows, tmp_path, shared_data) -> None:
    task = load_task("stop-reasons")
    known = pl.read_parquet(shared_data / "stop_reasons_train.parquet").sample(150, seed=3)
    result = train(known, tmp_path / "c", task=task)
    assert any("training texts of the shipped" in note for note in result.notes)
    others = pl.read_parquet(shared_data / "stop_reasons_train.parquet").sample(20, seed=4)
    with pytest.raises(DataError, match="20 of 20 rows were seen"):
        evaluate(Classifier.from_pretrained(tmp_path / "c"), others)


def test_auto_weighs_all_that_it_has_time_for(rows, tiny_encoder, tmp_path) -> None:
    settings = FinetuneSettings()
    result = finetune(task_of("multi_class"), rows, tiny_encoder, tmp_path / "c", settings=settings)
    tried = {one.method for one in result.choice if not one.left_out}
    assert {"shipped", "tf-idf"} <= tried
    left = {one.method: one.left_out for one in result.choice if one.left_out}
    assert tried | left.keys() == {"shipped", "tf-idf", "read-out", "full"}
    [chosen] = [one for one in result.choice if one.chosen]
    assert chosen.log_loss == min(one.log_loss for one in result.choice if one.log_loss is not None)
    assert "--method full" in left["full"] and left["full"] in (tmp_path / "c" / "README.md").read_text()


def test_an_encoder_that_is_named_is_tried_and_must_be_there(rows, tiny_encoder, tmp_path) -> None:
    task, settings = task_of("multi_class"), FinetuneSettings()
    result = finetune(task, rows, tiny_encoder, tmp_path / "c", settings=settings)
    assert any(one.method == "read-out" and one.micro_f1 is not None for one in result.choice)
    for name, said in (("base-encoder", "no such folder"), ("embedded:minilm", "embedded:minilm-l6")):
        with pytest.raises(UsageError, match=said):
            finetune(task, rows, name, tmp_path / "d", settings=settings)


def test_an_encoder_is_read_out(rows, tiny_encoder, tmp_path) -> None:
    settings = FinetuneSettings(method="read-out")
    result = finetune(task_of("multi_class"), rows, tiny_encoder, tmp_path / "c", settings=settings)
    assert result.encoder.startswith(tiny_encoder)
    classifier = Classifier.from_pretrained(tmp_path / "c")
    agreed = [one.labels == tuple(labels) for one, labels in zip(
        classifier.predict(rows["text"]), rows["labels"].to_list(), strict=True
    )]  # fmt: skip
    assert np.mean(agreed) > 0.8


@pytest.mark.parametrize("better", [True, False])
@pytest.mark.parametrize("folded", [50, 2_000])
def test_weights_are_trained_where_there_are_rows_and_time(  # noqa: PLR0917 - pytest's
    rows, tiny_encoder, tmp_path, monkeypatch, better, folded
) -> None:
    """Of many rows a part is kept aside for it; of fewer it is tried on some of the folds."""
    monkeypatch.setattr(few_labels, "FOLDED", folded)
    monkeypatch.setattr(few_labels, "MOST", 60)
    monkeypatch.setattr(weighed, "LEAST", 50)
    said = iter((better, not better))
    monkeypatch.setattr(weighed, "merit", lambda scores: next(said))
    task, settings = task_of("multi_class"), FinetuneSettings(epochs=1, calibration_share=0.2)
    result = finetune(task, rows, tiny_encoder, tmp_path / "c", settings=settings)
    [chosen] = [one for one in result.choice if one.chosen]
    assert (chosen.method == "full") == better == (result.method == "full")
    [full] = [one for one in result.choice if one.method == "full"]
    assert full.micro_f1 is not None and tiny_encoder in full.reads and not full.left_out
    assert ("folds" in full.reads) == (folded > 50)
    assert (tmp_path / "c" / "model.safetensors").is_file() == better
    assert TrainingResult.load(tmp_path / "c" / "training.json") == result
    card = (tmp_path / "c" / "README.md").read_text()
    assert "full (chosen)" in card if better else f"{result.method} (chosen)" in card
    Classifier.from_pretrained(tmp_path / "c").predict(["slow accrual"])
    if folded == 50 and better:
        assert result.rows.train + result.rows.calibration == len(rows) and result.folds == 0
    if folded == 50 and not better:
        assert result.rows.train == 60 and "rows were not used" in result.notes[0] and result.notes[0] in card


def test_time_that_is_not_given_is_said(rows, tmp_path) -> None:
    result = finetune(
        task_of("multi_class"),
        rows,
        "embedded:minilm-l6",
        tmp_path / "c",
        settings=FinetuneSettings(budget_s=1),
    )
    left = {one.method: one.left_out for one in result.choice if one.left_out}
    assert "far ahead" in left["read-out"] or "more than the 1 s" in left["read-out"]


def test_what_only_weights_can_use_makes_auto_train_them(rows, tiny_encoder, tmp_path, caplog) -> None:
    extra = ExtraTexts(outliers=("zebra crossing",))
    settings = FinetuneSettings(epochs=1)
    with caplog.at_level(logging.WARNING):
        result = finetune(
            task_of("multi_class"), rows, tiny_encoder, tmp_path / "c", settings=settings, extra=extra
        )
    assert result.method == "full" and "extra texts" in caplog.text
    with pytest.raises(UsageError, match="--method full"):
        finetune(
            task_of("multi_class"),
            rows,
            tiny_encoder,
            tmp_path / "d",
            settings=FinetuneSettings(method="shipped"),
            extra=extra,
        )


def test_labels_with_one_row_or_none_are_said_and_known_by_their_names(rows, tmp_path, caplog) -> None:
    task = task_of("multi_class", ("people", "money", "harm", "covid pandemic", "investigator moved away"))
    one = pl.DataFrame(
        {"nct_id": ["NCT77777777"], "text": ["Halted by the pandemic"], "labels": [["covid pandemic"]]}
    )
    result = train(pl.concat([rows, one]), tmp_path / "c", task=task)
    assert "only one row for covid pandemic" in caplog.text
    assert "no row for investigator moved away" in caplog.text
    assert all(note in (tmp_path / "c" / "README.md").read_text() for note in result.notes)
    [said] = Classifier.from_pretrained(tmp_path / "c").predict(["The investigator moved away to Rome"])
    assert said.labels == ("investigator moved away",)


def test_contradictions_and_long_texts_are_counted(rows, tmp_path) -> None:
    twice = rows.head(2).with_columns(
        nct_id=pl.Series(["NCT88888881", "NCT88888882"]), labels=pl.Series([["harm"], ["harm"]])
    )
    [first, second] = [sorted(labels) for labels in rows.head(2)["labels"]]
    long = pl.DataFrame(
        {"nct_id": ["NCT88888883"], "text": ["the funding ran out " * 750], "labels": [["money"]]}
    )
    result = train(pl.concat([rows, twice, long]), tmp_path / "c")
    several = sum(labels != ["harm"] for labels in (first, second))
    assert any(note.startswith(f"{several} texts have different labels") for note in result.notes)
    assert any(note.startswith("1 texts are longer than 64 tokens") for note in result.notes)
    [said] = Classifier.from_pretrained(tmp_path / "c").predict(long["text"])
    assert said.labels == ("money",)


def test_rows_that_teach_nothing_are_refused(rows, tmp_path) -> None:
    alike = rows.with_columns(labels=pl.lit(["money"]))
    with pytest.raises(DataError, match="all 90 rows have the label money"):
        train(alike, tmp_path / "c")
    same = rows.with_columns(text=pl.lit("Study halted: funding ran out"))
    with pytest.raises(DataError, match="90 labelled rows have 1 distinct texts"):
        train(same, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_cross_validation_chooses_in_every_fold(rows, tmp_path) -> None:
    task = task_of("multi_class")
    scores = cross_validate(
        task, rows, "embedded:minilm-l6", tmp_path, settings=FinetuneSettings(method="shipped"), folds=3
    )
    assert scores.n == len(rows) and scores.micro_f1 > 0.9


def test_a_comparison_trains_weights_or_says_that_it_must() -> None:
    assert FinetuneSettings().of_weights().method == "full"
    assert FinetuneSettings(method="lora").of_weights().method == "lora"
    with pytest.raises(UsageError, match="choose full or lora"):
        FinetuneSettings(method="tf-idf").of_weights()


def test_pytorch_is_not_loaded_for_it(rows, tmp_path) -> None:
    rows.with_columns(labels=pl.col("labels").list.join(",")).write_csv(tmp_path / "rows.csv")
    (tmp_path / "mine.yaml").write_text("name: mine\nkind: multi_class\nlabels: [people, money, harm]\n")
    run = (
        "import sys\n"
        "sys.argv = 'trialtune finetune mine.yaml --data rows.csv --method shipped --out c'.split()\n"
        "from trialtune.cli import main\n"
        "try:\n    main()\nfinally:\n    print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "False False", done.stderr
