"""The reference experiment, whole: everything it takes comes from the Hub, in the forms it is published in.

The Hub is a stand-in, its encoder a small one, and trials, labels and sexes are made up.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from huggingface_hub import DatasetCard
from peft import LoraConfig, TaskType, get_peft_model
from tokenizers import BertWordPieceTokenizer
from transformers import AutoModelForTokenClassification, BertConfig, BertForMaskedLM

from trialtune.registry.sample import SampleSettings, write_sample
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.snapshot.read import read_snapshot
from trialtune.reports.run_result import RunResult
from trialtune.stages.mlm import score_mlm
from trialtune.tasks.catalog import load_task

ENCODER, ADAPTER = "domenicrosati/ClinicalTrialBioBert", "someone/ctbert-lora"
TEXTS, REASONS, SEXES = (
    "domenicrosati/clinical_trial_texts",
    "opentargets/clinical_trial_reason_to_stop",
    "Kira-Asimov/gender_clinical_trial",
)
FOUR = "{name: sex-eligibility, kind: multi_class, labels: [All, None, Male, Female], text: input}"
STOP = load_task("stop-reasons")

Run = Callable[..., str]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.fixture(scope="module")
def trials(tmp_path_factory) -> pl.DataFrame:
    """Made-up trials: nct_id, text, why_stopped, labels (why), sex."""
    work = tmp_path_factory.mktemp("trials")
    write_sample(work / "sample", SampleSettings(studies=500))
    import_trials(work / "sample" / "studies.jsonl.gz", work / "all.parquet")
    text = pl.concat_str("brief_title", "eligibility_criteria", "brief_summary", separator="\n")
    labels = pl.read_parquet(work / "sample" / "stop_reasons.parquet").select("nct_id", "labels")
    frame = read_snapshot(work / "all.parquet").with_columns(text=text).join(labels, "nct_id", "left")
    return frame.select("nct_id", "text", "why_stopped", "labels", "sex")


@pytest.fixture(scope="module")
def encoder(trials, tmp_path_factory) -> Path:
    """BERT with its masked-LM head and cased word pieces; published without `tokenizer.json`."""
    folder = tmp_path_factory.mktemp("published") / "encoder"
    folder.mkdir()
    trained = BertWordPieceTokenizer(lowercase=False)
    trained.train_from_iterator(trials["text"].to_list(), vocab_size=2000)
    trained.save_model(str(folder))
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=trained.get_vocab_size(), max_position_embeddings=128, **shape)
    BertForMaskedLM(config).save_pretrained(folder)
    said = {"do_lower_case": False, "tokenizer_class": "BertTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


@pytest.fixture(scope="module")
def adapter(encoder, tmp_path_factory) -> Path:
    """As the reference publishes its own: r=1 on query and value, of token classification."""
    folder = tmp_path_factory.mktemp("published") / "adapter"
    torch.manual_seed(1)
    lora = LoraConfig(task_type=TaskType.TOKEN_CLS, r=1, lora_alpha=1, target_modules=["query", "value"])
    model = get_peft_model(AutoModelForTokenClassification.from_pretrained(encoder), lora)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.5)  # as if trained
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def hub(hub_server, trials, encoder, adapter, tmp_path_factory) -> Iterator[Any]:
    """The Hub with the encoder, the adapter, the base corpus and the labelled data."""
    work = tmp_path_factory.mktemp("data")
    base = trials.head(300).select(pl.col("nct_id").alias("trial_id"), "text")
    base.write_parquet(work / "train-00000-of-00001.parquet")
    stopped = trials.filter(pl.col("labels").list.len() > 0)
    flags = {label: pl.col("labels").list.contains(label) for label in STOP.labels}
    reasons = stopped.select(text="why_stopped", label_descriptions="labels", **flags)
    (work / "data.json").write_text(json.dumps(reasons.to_dicts()))
    told = pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit("None")).otherwise("sex")
    sexes = trials.filter(pl.col("sex") != "").tail(200)
    sexes.select("nct_id", "text", told).select(
        id="nct_id", input="text", label=pl.col("literal").str.to_titlecase()
    ).write_csv(work / "train.csv")
    with hub_server.serving() as served:
        served.models[ENCODER] = hub_server.Repository(files=contents(encoder))
        served.models[ADAPTER] = hub_server.Repository(files=contents(adapter))
        for name, file, place in (
            (TEXTS, "train-00000-of-00001.parquet", "data/"),
            (REASONS, "data.json", ""),
            (SEXES, "train.csv", ""),
        ):
            held = {f"{place}{file}": (work / file).read_bytes(), "README.md": b"# Data"}
            served.datasets[name] = hub_server.Repository(files=held)
        yield served


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def trialtune(hub, hub_server, work) -> Run:
    """Runs a command against the Hub, logged in; returns what it printed."""
    login = {"HF_TOKEN": hub_server.TOKEN, "HF_HOME": str(work / "hf")}
    settings = {**login, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "trialtune", *arguments],
            cwd=work,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def whole(trialtune, trials, work) -> RunResult:
    """The run's metrics; its folder is `run`."""
    (work / "trials").mkdir()
    new = trials.tail(-300).select(pl.col("nct_id").alias("NCTId"), "text").with_row_index("")
    new.write_csv(work / "trials" / "input.csv")
    trialtune("registry", "import", TEXTS, "--out", "trials/base.parquet")
    (work / "sex.yaml").write_text(FOUR)
    small = {"finetune": {"epochs": 1, "max_length": 64}, "seeds": [1]}
    tasks = {
        "stop-reasons": {"data": f"hf://datasets/{REASONS}/data.json", **small},
        "sex-eligibility": {
            "data": f"hf://datasets/{SEXES}/train.csv",
            "spec": str(work / "sex.yaml"),
            **small,
        },
    }
    trialtune(
        *("run", "clinical-trial-biobert", "--out", "run", "--set", "data=trials"),
        *("--set", f"cut.ids=hf://datasets/{TEXTS}/data/train-00000-of-00001.parquet"),
        *("--set", "corpus.block_size=64", "--set", "adapt.eval_blocks=10"),
        *("--set", "adapt.train={steps: 6, batch_size: 4, eval_steps: 3, learning_rate: 1.0e-2}"),
        *("--set", f"tasks={json.dumps(tasks)}"),
    )
    return RunResult.load(work / "run" / "metrics.json")


def test_every_stage_has_run(whole, trials, work) -> None:
    assert (whole.data.base, whole.data.new) == (300, len(trials) - 300)
    assert whole.settings["encoder"] == ENCODER
    assert whole.mlm["base"] is None and not whole.mlm["adapt"].fresh_head
    assert whole.mlm["adapt"].forgetting
    lines = (work / "run" / "adapter" / "accuracy.log").read_text().splitlines()
    assert len(lines) == 3 and all(line.startswith("Accuracy after ") for line in lines)
    assert (work / "run" / "report" / "index.html").is_file()


def test_both_tasks_have_a_table_of_their_classes(whole) -> None:
    for task, labels in (
        ("stop-reasons", set(STOP.labels)),
        ("sex-eligibility", {"All", "None", "Male", "Female"}),
    ):
        compared = whole.tasks[task]
        assert compared.verdict and compared.n > 20
        for system in (compared.systems.base, compared.systems.adapted):
            assert set(system.per_class) == labels
    assert whole.tasks["sex-eligibility"].systems.adapted.per_class["None"].support > 0


def test_the_references_adapter_opens_by_its_name(whole, trialtune, adapter, encoder, work) -> None:
    asked = ("mlm", "run/corpus/new", "--encoder", ENCODER, "--eval-blocks", "4", "--json")
    found = json.loads(trialtune(*asked, "--adapter", ADAPTER))["loss"]
    corpus = work / "run" / "corpus" / "new"
    assert found == pytest.approx(score_mlm(corpus, encoder, adapter=adapter, eval_blocks=4).loss)
    assert found != pytest.approx(score_mlm(corpus, encoder, eval_blocks=4).loss)


def test_what_was_made_goes_to_the_hub_and_comes_back(whole, hub, trialtune, trials, work) -> None:
    classifier = "run/tasks/stop-reasons/classifiers/adapted-seed-1"
    trials.select("nct_id", "why_stopped").write_parquet(work / "reasons.parquet")
    import_trials(work / "reasons.parquet", work / "reasons" / "snapshot.parquet")
    trialtune("apply", classifier, "reasons/snapshot.parquet", "--out", "labelled")
    for made, name in (("run/adapter", "me/lora"), (classifier, "me/clf"), ("labelled", "me/labels")):
        said = trialtune("push", made, name)
        assert said.startswith(hub.url) and said.rstrip().endswith(name)

    sent = hub.models["me/lora"].files
    assert sent == {name: (work / "run" / "adapter" / name).read_bytes() for name in sent}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= sent.keys()

    trialtune("predict", "me/clf", "--input", "reasons.parquet", "--output", "again.parquet")
    again = pl.read_parquet(work / "again.parquet").drop_nulls("text").sort("nct_id")
    labels = hub.datasets["me/labels"].files
    assert {"README.md", "croissant.json", "apply.json"} <= labels.keys() and "README.md" in sent
    assert DatasetCard(labels["README.md"].decode()).data["configs"][0]["data_files"] == "labels/*.parquet"
    held = [content for name, content in labels.items() if name.endswith(".parquet")]
    assert pl.concat(map(pl.read_parquet, held)).sort("nct_id").equals(again)
