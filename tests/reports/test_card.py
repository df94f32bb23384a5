"""Cards: headers that the Hub's library reads back, texts that say what was measured."""

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard

from trialtune.evaluation.metrics import score
from trialtune.files import write_json
from trialtune.labelling.description import Description
from trialtune.labelling.publication import Publication
from trialtune.labelling.summary import LabellingSummary, Named
from trialtune.reports.card import HeldOut, Tested, write_adapter_card, write_card, write_exported_card
from trialtune.reports.data_card import write_data_card
from trialtune.tasks.catalog import task_from_spec
from trialtune.tasks.spec import TaskSpec

ODD = ('It\'s "x": é [a]', "100% #1 <b>", "- dash: {y}", "a | b_c_", "日本")
ENCODERS = {
    "someone/encoder": "someone/encoder",
    "embedded:minilm-l6": "sentence-transformers/all-MiniLM-L6-v2",
    "embedded:stop-reasons": None,
    "runs/models/odd: 'encoder' #1": None,
}


@pytest.fixture
def odd_task() -> Any:
    return task_from_spec(
        TaskSpec(name="own", kind="multi_label", labels=dict.fromkeys(ODD, 'What | it: "is"'))
    )


@pytest.fixture
def folder(make_classifier, odd_task, tmp_path) -> Path:
    folder = make_classifier(odd_task, tmp_path / "clf")
    described_as(folder, "someone/encoder")
    return folder


def described_as(folder: Path, encoder: str) -> None:
    trained = {
        "encoder": encoder,
        "adapter": None,
        "rows": {"train": 90, "calibration": 10},
        "max_length": 32,
        "calibration": {"micro_f1": 0.5, "macro_f1": 0.4},
    }
    write_json(folder / "training.json", trained)


def found_in(card: ModelCard) -> dict[str, Any]:
    """The header as it stands in the file, which the library reads and writes to the same."""
    header = yaml.safe_load(str(card).split("---\n")[1])
    assert ModelCard(str(card)).data.to_dict() == card.data.to_dict() == header
    return header


@pytest.mark.parametrize(("encoder", "base"), ENCODERS.items())
def test_a_card_names_the_encoder_that_the_hub_has(folder, encoder, base) -> None:
    described_as(folder, encoder)
    write_card(folder)
    card = ModelCard.load(folder / "README.md")
    header = found_in(card)
    assert header.get("base_model") == base
    assert header.get("base_model_relation") == ("finetune" if base else None)
    assert (header["language"], header["pipeline_tag"]) == ("en", "text-classification")
    assert not {"model-index", "metrics", "license"} & header.keys()  # nobody measured, nobody said
    assert "a little too good" in card.text


def test_labels_of_any_name_make_no_other_table(folder) -> None:
    write_card(folder)
    text = ModelCard.load(folder / "README.md").text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(ODD)
    assert all(line.replace("\\|", "").count("|") == 3 for line in rows)


def test_test_scores_are_results_that_the_hub_s_library_reads(folder, run) -> None:
    gold = np.array([[True, False], [True, True], [True, False]])
    scores = score(gold, np.roll(gold, -1, axis=0), ["a", "b"], kind="multi_label")
    comparison = run.tasks["sex"]
    write_card(folder, tested=Tested(comparison, "adapted", 3, scores))
    card = ModelCard.load(folder / "README.md")
    found_in(card)
    results = {one.metric_name: one for one in card.data.eval_results}
    assert results["micro-F1"].metric_value == scores.micro_f1 != scores.macro_f1
    assert results["macro-F1"].metric_value == scores.macro_f1
    for one in results.values():
        assert (one.task_name, one.dataset_split) == ("own", "test")
        assert one.dataset_name == comparison.data.test_source
    assert '"adapted", seed 3' in card.text


@pytest.mark.parametrize("measured", [None, HeldOut("own", 'odd: "rows".csv', "held-out", 0.75, 0.5)])
@pytest.mark.parametrize("form", ["safetensors", "onnx", "onnx-int8"])
def test_in_8_bits_a_classifier_has_scores_of_its_own(folder, tmp_path, form, measured) -> None:
    write_card(folder)
    card = ModelCard.load(folder / "README.md")
    HeldOut("own", "test.csv", "test", 0.9, 0.8).add_to(card.data)
    card.save(folder / "README.md")
    parity = {
        **{f"{which}_probability_difference": 0.0 for which in ("mean", "max")},
        **{"texts": 9, "same_labels": 1.0, "before": None, "after": None},
    }
    (tmp_path / "out").mkdir()
    told = {"format": form, "parity": parity}
    write_exported_card(folder / "README.md", tmp_path / "out", told, origin="me/clf", scores=measured)
    made = ModelCard.load(tmp_path / "out" / "README.md")
    header = found_in(made)
    values = [one.metric_value for one in made.data.eval_results or ()]
    if form == "onnx-int8":
        assert values == ([0.75, 0.5] if measured else [])
        assert (header["base_model"], header["base_model_relation"]) == ("me/clf", "quantized")
        assert "left out of the card's header" in made.text
    else:
        assert values == [0.9, 0.8]
        assert (header["base_model"], header["base_model_relation"]) == ("someone/encoder", "finetune")


def test_an_adapter_has_a_card(run, tmp_path) -> None:
    for name, training in run.mlm.items():
        written = training.model_copy(update={"encoder": "someone/encoder"})
        (tmp_path / name).mkdir()
        write_adapter_card(tmp_path / name, written)
        card = ModelCard.load(tmp_path / name / "README.md")
        header = found_in(card)
        lora = training.method == "lora"
        assert header["library_name"] == ("peft" if lora else "transformers")
        assert header["base_model_relation"] == ("adapter" if lora else "finetune")
        assert header["pipeline_tag"] == "fill-mask" and "model-index" not in header
        assert f"{training.kept.accuracy:.3f}" in card.text
        lying = training.model_copy(update={"encoder": "/home/ada/models/tiny"})
        write_adapter_card(tmp_path / name, lying)
        text = ModelCard.load(tmp_path / name / "README.md").text
        assert "tiny" in text and "/home" not in text


def labelled(task: Any, **more: Any) -> Description:
    counts = dict.fromkeys(("labelled", "distinct_texts", "reused", "scored", "new"), 9)
    summary = LabellingSummary(
        **counts,
        **dict.fromkeys(("changed", "unchanged", "gone"), 0),
        trials=10,
        without_text=1,
        version="0.0.1",
        task=task.name,
        kind=task.kind,
        classifier=Named(name="odd | name: 'x'", fingerprint="0123456789abcdef"),
        snapshot=Named(name="s.parquet", data_timestamp="2026-07-01"),
        label=dict.fromkeys(task.labels, 3),
    )
    return Description(task=task, summary=summary, **more)


@pytest.mark.parametrize(
    ("license", "header"),
    [
        (None, {"license": "other", "license_name": "terms-of-clinicaltrials-gov"}),
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("https://example.org/l", {"license": "other", "license_link": "https://example.org/l"}),
    ],
)
def test_a_data_card_names_the_parts_and_the_licence(odd_task, tmp_path, license, header) -> None:
    write_data_card(labelled(odd_task, publication=Publication(license=license)), tmp_path)
    card = DatasetCard.load(tmp_path / "README.md")
    found = yaml.safe_load(str(card).split("---\n")[1])
    assert found.items() >= header.items()
    assert found["configs"] == [{"config_name": "default", "data_files": "labels/*.parquet"}]
    assert "https://clinicaltrials.gov/about-site/terms-conditions" in card.text and "2026-07-01" in card.text
    rows = [line.replace("\\|", "") for line in card.text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 7 + 2 + len(ODD)


@pytest.fixture
def hub(hub_server) -> Iterator[Any]:
    with hub_server.serving() as served:
        yield served


def test_the_cards_pass_what_the_stand_in_checks_of_headers(hub, folder, odd_task, run, tmp_path) -> None:
    """`card.validate` asks the Hub; the stand-in checks the same request as far as its form is documented."""
    if "https://huggingface.co" in inspect.getsource(ModelCard.validate):
        pytest.skip("this huggingface_hub validates cards at huggingface.co alone")
    gold = [[True, False], [True, True]]
    scores = score(*map(np.array, (gold, gold)), ["a", "b"], kind="multi_label")
    write_card(folder, tested=Tested(run.tasks["sex"], "adapted", 3, scores))
    write_data_card(labelled(odd_task), tmp_path)
    broken = tmp_path / "broken.md"
    broken.write_text("---\nlicense: other\n---\n")
    code = (
        "import sys\nfrom huggingface_hub import DatasetCard, ModelCard\n"
        "ModelCard.load(sys.argv[1]).validate()\nDatasetCard.load(sys.argv[2]).validate()"
    )
    for data, right in ((tmp_path / "README.md", True), (broken, False)):
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder / "README.md"), str(data)],
            env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == right, done.stderr
