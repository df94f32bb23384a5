"""An exported classifier answers as the original does, opens elsewhere, and is refused when it does not."""

import json
import shutil
import subprocess
import sys

import numpy as np
import onnxruntime
import polars as pl
import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoTokenizer, pipeline
from typer.testing import CliRunner

from trialtune.classifier.classifier import Classifier
from trialtune.cli import app
from trialtune.dataset.label_arrays import label_lists
from trialtune.dataset.seen import write_seen
from trialtune.errors import DataError, UsageError
from trialtune.evaluation.decision import Decision
from trialtune.files import write_json
from trialtune.reports.card import write_card
from trialtune.stages import export as stage
from trialtune.stages.export import export
from trialtune.tasks.catalog import load_task

TEXTS = [
    "slow recruitment",
    "funding ran out " * 9,
    "dose",
    "adverse events in two patients",
    "sponsor decision",
]


@pytest.fixture(scope="module", params=["stop-reasons", "sex"])
def classifier(request, make_classifier, tmp_path_factory):
    task, folder = load_task(request.param), tmp_path_factory.mktemp("classifier") / "clf"
    thresholds = (0.4,) * len(task.labels) if task.kind == "multi_label" else ()
    rule = Decision(task.kind, tuple(task.labels), thresholds, review_below=0.9)
    make_classifier(task, folder, decision=rule)
    trained = {
        "encoder": "someone/encoder",
        "adapter": None,
        "rows": {"train": 90, "calibration": 10},
        "max_length": 32,
        "calibration": {"micro_f1": 0.5, "macro_f1": 0.4},
    }
    write_json(folder / "training.json", trained)
    write_card(folder)
    return folder


@pytest.fixture
def examples(classifier) -> pl.DataFrame:
    """Rows labelled by the classifier itself: before scores 1."""
    opened = Classifier.from_pretrained(classifier, precision="fp32")
    texts = [f"{text} {number}" for text in TEXTS for number in range(20)]
    labels = label_lists(opened.decide(texts).labels, opened.labels)
    ids = [f"NCT{number:08}" for number in range(len(texts))]
    return pl.DataFrame({"nct_id": ids, "text": texts, "labels": labels})


@pytest.mark.parametrize("form", ["safetensors", "onnx", "onnx-int8"])
def test_every_form_is_a_classifier_folder_that_answers_alike(classifier, examples, form, tmp_path) -> None:
    report = export(
        classifier, tmp_path / "out", form=form, examples=examples, source="dev.parquet", force=True
    )
    assert report == json.loads((tmp_path / "out" / "export.json").read_text())
    found = report["parity"]
    assert found["texts"] == len(examples) and found["before"]["micro_f1"] == 1
    assert found["max_probability_difference"] < (0.2 if form == "onnx-int8" else 1e-4)
    opened = [Classifier.from_pretrained(folder) for folder in (classifier, tmp_path / "out")]
    old, new = (one.predict_proba(examples["text"]) for one in opened)
    np.testing.assert_allclose(old, new, atol=0.2)  # the original scores in bf16 where that is native
    metrics = opened[1].evaluate(examples)
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert ("InferenceSession(" in card.text) == (form != "safetensors") != ("pipeline(" in card.text)
    assert f"Written as {form} " in card.text and "Micro-F1 there: 1.000 before, " in card.text
    results = {one.metric_name: one for one in card.data.eval_results}
    assert {one.dataset_split for one in results.values()} == {"held-out"}
    assert results["micro-F1"].metric_value == found["after"]["micro_f1"]
    assert results["macro-F1"].metric_value == found["after"]["macro_f1"]
    assert results["micro-F1"].dataset_name == "dev.parquet"
    header = card.data.to_dict()
    del header["model-index"]
    assert header == {
        "base_model": "someone/encoder",
        "base_model_relation": "finetune",
        "language": "en",
        "library_name": "transformers" if form == "safetensors" else "onnx",
        "metrics": ["f1"],
        "pipeline_tag": "text-classification",
        "tags": ["clinical-trials", "trialtune"],
    }
    assert metrics.micro_f1 == pytest.approx(found["after"]["micro_f1"], abs=0.05)


def test_a_graph_answers_without_what_only_training_and_the_hub_need(classifier, tmp_path) -> None:
    export(classifier, tmp_path / "out", form="onnx")
    code = (
        "import sys; sys.argv = ['trialtune', 'predict', sys.argv[1], 'slow']\n"
        "from trialtune.cli import main\n"
        "try: main()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "peft", "accelerate", "polars", "huggingface_hub", "sklearn", "jinja2"}
    assert not heavy & set(done.stderr.split()) and "slow" in done.stdout


def test_a_card_of_the_owner_s_own_is_kept_and_a_broken_one_told(classifier, tmp_path) -> None:
    folder = tmp_path / "clf"
    shutil.copytree(classifier, folder)
    (folder / "README.md").write_text("---\nlicense: mit\ntags: [mine]\n---\n# Mine\n")
    export(folder, tmp_path / "out", form="onnx")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.to_dict() == {"license": "mit", "tags": ["mine"], "library_name": "onnx"}
    assert card.text.startswith("# Mine\n\n## Export\n")
    for broken in ("---\n- a list\n---\n", "---\na: [\n---\n"):
        (folder / "README.md").write_text(broken)
        with pytest.raises(DataError, match=r"clf/README.md: its metadata cannot be read"):
            export(folder, tmp_path / "two", form="safetensors")
    assert not (tmp_path / "two").exists()


def test_the_files_open_with_plain_libraries(classifier, tmp_path) -> None:
    export(classifier, tmp_path / "plain", form="safetensors")
    export(classifier, tmp_path / "onnx", form="onnx")
    opened = Classifier.from_pretrained(classifier, precision="fp32")
    plain = pipeline("text-classification", model=str(tmp_path / "plain"), top_k=None)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"))
    for text, expected in zip(TEXTS[2:], opened.raw_probabilities(TEXTS[2:]), strict=True):
        scores = {one["label"]: one["score"] for one in plain([text])[0]}
        np.testing.assert_allclose([scores[name] for name in opened.labels], expected, atol=1e-5)
        inputs = tokenizer(text, return_tensors="np")
        given = {one.name: inputs[one.name] for one in session.get_inputs()}
        logits = torch.from_numpy(session.run(None, given)[0][0])
        odds = logits.sigmoid() if opened.task.kind == "multi_label" else logits.softmax(0)
        np.testing.assert_allclose(odds, expected, atol=1e-4)


def test_int8_that_loses_too_much_is_refused_unless_forced(
    classifier, examples, tmp_path, monkeypatch
) -> None:
    with pytest.raises(UsageError, match="--data"):
        export(classifier, tmp_path / "out", form="onnx-int8")
    monkeypatch.setattr(stage, "MOST_LOST", -1.0)
    with pytest.raises(DataError, match=r"int8 loses .* micro-F1 on 100 texts"):
        export(classifier, tmp_path / "out", form="onnx-int8", examples=examples)
    assert not list(tmp_path.iterdir())
    assert export(classifier, tmp_path / "out", form="onnx-int8", examples=examples, force=True)
    assert export(classifier, tmp_path / "two", form="onnx-int8", force=True)["parity"]["before"] is None


def test_rows_seen_in_training_are_left_out(classifier, examples, tmp_path) -> None:
    folder = tmp_path / "clf"
    shutil.copytree(classifier, folder)
    write_seen(examples.head(90), folder)
    report = export(folder, tmp_path / "out", form="onnx", examples=examples)
    assert (report["parity"]["texts"], report["parity"]["seen_left_out"]) == (10, 90)
    write_seen(examples, folder)
    with pytest.raises(DataError, match="was trained on all 100 rows"):
        export(folder, tmp_path / "out", form="onnx", examples=examples)


def test_damaged_graphs_are_told(classifier, tmp_path) -> None:
    export(classifier, tmp_path / "out", form="onnx")
    graph = tmp_path / "out" / "model.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:9000] + bytes(9000) + whole[18000:])
    with pytest.raises(DataError, match="is damaged, its checksum"):
        Classifier.from_pretrained(tmp_path / "out")
    (tmp_path / "out" / "model.onnx.sha256").unlink()  # as in a folder that someone else made
    for broken in (whole[: len(whole) // 2], b"", b"no graph" * 99):
        graph.write_bytes(broken)
        with pytest.raises(
            DataError, match=r"model\.onnx: onnxruntime .* cannot open it .*; export it again"
        ):
            Classifier.from_pretrained(tmp_path / "out")
    graph.write_bytes(whole)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    config["id2label"]["99"] = "More"
    config.pop("num_labels", None)
    (tmp_path / "out" / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"config\.json: id2label"):
        Classifier.from_pretrained(tmp_path / "out")
    graph.unlink()
    with pytest.raises(DataError, match="not a classifier folder"):
        Classifier.from_pretrained(tmp_path / "out")


def test_a_graph_is_not_exported_again(classifier, tmp_path) -> None:
    export(classifier, tmp_path / "out", form="onnx")
    with pytest.raises(DataError, match="the folder that it was exported from"):
        export(tmp_path / "out", tmp_path / "again", form="safetensors")


def test_what_is_read_is_not_replaced(classifier, tmp_path) -> None:
    shutil.copytree(classifier, tmp_path / "clf")
    (tmp_path / "clf" / ".trialtune").touch()
    with pytest.raises(UsageError, match="would replace"):
        export(tmp_path / "clf", tmp_path / "clf", form="onnx")
    assert (tmp_path / "clf" / "model.safetensors").is_file()


def test_the_command(classifier, examples, tmp_path) -> None:
    examples.write_parquet(tmp_path / "rows.parquet")
    arguments = ["export", str(classifier), "--data", str(tmp_path / "rows.parquet"), "--format", "onnx"]
    done = CliRunner().invoke(
        app, [*arguments, "--out", str(tmp_path / "out"), "--json"], catch_exceptions=False
    )
    assert json.loads(done.stdout)["parity"]["same_labels"] == 1
    shown = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert "same labels" in shown.stdout and "written to" in shown.stdout
    with pytest.raises(UsageError, match="--format gguf"):
        CliRunner().invoke(
            app,
            ["export", str(classifier), "--format", "gguf", "--out", str(tmp_path / "o")],
            catch_exceptions=False,
        )
