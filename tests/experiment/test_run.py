"""A whole experiment on a tiny encoder: it ends with a report, skips what is done, survives SIGKILL."""

import json
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from transformers import pipeline

from trialtune.errors import UsageError
from trialtune.experiment.recipe import Recipe, load_recipe
from trialtune.experiment.run import Experiment
from trialtune.reports.run_result import RunResult

SMALL = """
name: small
data: sample
sample: {studies: 500}
encoder: ENCODER
cut: {date: 2020-01-01}
corpus: {block_size: 64}
base: {method: full, eval_blocks: 20, train: {steps: 6, batch_size: 4, eval_steps: 3}}
adapt: {eval_blocks: 20, train: {steps: 8, batch_size: 4, eval_steps: 4, save_steps: 2}}
variants:
  qv: {eval_blocks: 20, lora: {target_modules: [query, value]}, train: {steps: 4, batch_size: 4}}
tasks:
  stop-reasons: {seeds: [1], finetune: {epochs: 1}}
  sex:
    seeds: [1, 2]
    split: {max_train: 150, max_test: 60}
    finetune: {epochs: 1, max_length: 64}
    train_sizes: {sizes: [40], draws: 1, min_steps: 1, finetune: {epochs: 2, max_length: 32}}
"""


@pytest.fixture(scope="module")
def recipe(tiny_encoder, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    path.write_text(SMALL.replace("ENCODER", tiny_encoder))
    return path


def run(recipe: Path, out: Path) -> tuple[RunResult, list[str]]:
    """The run's metrics, and the names of the steps that were not found done."""
    experiment = Experiment(load_recipe(str(recipe)), out)
    found = {step.name for step in experiment.steps() if step.record()}
    metrics = experiment.run(lambda line: None)
    return metrics, [step.name for step in experiment.steps() if step.name not in found]


def scores(metrics: RunResult) -> str:
    """What must not depend on when and how often the run was stopped."""
    told = metrics.model_dump(mode="json")
    tasks = {name: {**task, "data": None} for name, task in told["tasks"].items()}
    mlm = {stage: told["mlm"][stage]["history"] for stage in ("base", "adapt")}
    return json.dumps([tasks, mlm, told["corpus"]])


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory) -> tuple[Path, RunResult]:
    out = tmp_path_factory.mktemp("whole") / "run"
    metrics, done = run(recipe, out)
    baselines, end, sizes = 5, 2, 1  # errors and comparison
    assert len(done) == 10 + (baselines + 2 * 2 + end) + (baselines + 2 * 4 + end + sizes) + 1
    return out, metrics


def test_the_run_folder_holds_everything(whole) -> None:
    out, metrics = whole
    assert json.loads((out / "metrics.json").read_text()) == metrics.model_dump(mode="json")
    assert metrics.made_up
    assert (out / "report" / "index.html").is_file()
    assert Recipe.model_validate(json.loads((out / "recipe.json").read_text())).name == "small"
    for task in ("stop-reasons", "sex"):
        comparison = metrics.tasks[task]
        assert comparison.verdict
        assert comparison.data.overlap == comparison.data.mlm_overlap == 0
        assert {"majority", "keywords", "tf-idf", "frozen-base", "adapted"} <= comparison.summary.keys()
    data = metrics.data
    assert data.read == data.kept + data.quarantined
    assert data.kept == data.base + data.new
    assert metrics.mlm["adapt"].forgetting
    start, variant = metrics.mlm["adapt"].history[0], metrics.mlm["qv"].history[0]
    assert variant.loss == start.loss  # both begin with the same encoder
    assert (out / "variants" / "qv" / "adapter_model.safetensors").is_file()


def test_sizes_are_compared_with_settings_of_their_own(whole) -> None:
    out, metrics = whole
    [point] = metrics.sizes["sex"].points
    assert point.rows == 40
    assert {"base", "adapted", "tf-idf"} <= point.systems.keys()
    step = json.loads((out / "tasks" / "sex" / "sizes" / "scores" / "base-40-1" / "step.json").read_text())
    assert step["result"].keys() == {"micro_f1", "macro_f1", "seconds"}
    assert metrics.sizes["sex"].verdicts["adapted"] in (out / "report" / "index.html").read_text()
    assert metrics.settings["tasks"]["sex"]["train_sizes"]["finetune"]["max_length"] == 32


def test_no_test_trial_is_in_a_corpus_or_in_training(whole) -> None:
    out, metrics = whole
    tested = set()
    for task in ("stop-reasons", "sex"):
        rows = {
            part: pl.read_parquet(out / "tasks" / task / "examples" / f"{part}.parquet")
            for part in ("train", "test")
        }
        assert not set(rows["train"]["nct_id"]) & set(rows["test"]["nct_id"])
        tested |= set(rows["test"]["nct_id"])
    corpus = metrics.corpus
    assert corpus.base.excluded + corpus.new.excluded == len(tested)


def test_the_classifier_opens_in_a_plain_pipeline(whole) -> None:
    out, _ = whole
    folder = out / "tasks" / "stop-reasons" / "classifiers" / "adapted-seed-1"
    [found] = pipeline("text-classification", model=str(folder), top_k=None)(["slow recruitment"])
    assert len(found) == 17
    assert sum(entry["score"] for entry in found) != pytest.approx(1, abs=1e-3)  # sigmoids, not a softmax


def test_running_again_does_nothing_and_a_changed_setting_redoes_what_depends_on_it(
    whole, recipe, tmp_path
) -> None:
    out, metrics = whole
    again, done = run(recipe, out)
    assert (scores(again), done) == (scores(metrics), [])
    changed = tmp_path / "changed.yaml"
    changed.write_text(recipe.read_text().replace("max_test: 60", "max_test: 50"))
    pending = [step.name for step in Experiment(load_recipe(str(changed)), out).steps() if not step.record()]
    assert "examples sex" in pending
    assert "import registry" not in pending
    assert "examples stop-reasons" not in pending


def test_labelled_rows_that_a_recipe_names(whole, recipe, tmp_path) -> None:
    out, _ = whole
    named = f"tasks.stop-reasons.data={tmp_path / 'rows.csv'}"
    with pytest.raises(UsageError, match=r"data of the task stop-reasons: .*rows\.csv: no such file"):
        Experiment(load_recipe(str(recipe), [named]), out).steps()
    keys: list[str] = []
    for label in ("Negative", "Negative", "Success"):
        (tmp_path / "rows.csv").write_text(f"text,label\nslow,{label}\n")
        steps = Experiment(load_recipe(str(recipe), [named]), out).steps()
        keys += [step.key for step in steps if step.name == "examples stop-reasons"]
    assert keys[0] == keys[1] != keys[2]


def test_lost_files_are_made_again(whole, recipe) -> None:
    out, metrics = whole
    (out / "diff" / "new.parquet").unlink()
    again, done = run(recipe, out)
    assert done == ["cut registry"]
    assert scores(again) == scores(metrics)


@pytest.mark.parametrize(
    "wait_for", ["adapter/checkpoints/*/step-0000004", "tasks/sex/scores/base-seed-1/step.json"]
)
def test_a_killed_run_ends_with_the_same_numbers(whole, recipe, tmp_path, wait_for) -> None:
    command = [sys.executable, "-m", "trialtune", "run", str(recipe), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    deadline = time.monotonic() + 300
    while (
        not list((tmp_path / "run").glob(wait_for)) and process.poll() is None and time.monotonic() < deadline
    ):
        time.sleep(0.002)
    process.kill()
    message = process.communicate()[1].decode()
    assert process.returncode == -9, f"it ended before the kill: {message}"
    metrics, _ = run(recipe, tmp_path / "run")
    assert scores(metrics) == scores(whole[1])


def test_real_trials_go_through_the_whole_loop(shared_data, tiny_encoder, tmp_path) -> None:
    caps = [
        f"data={shared_data}",
        f"encoder={tiny_encoder}",
        *(
            "base.train.steps=2",
            "adapt.train.steps=2",
            "variants.query-value.train.steps=2",
            "base.eval_blocks=5",
            "variants.query-value.eval_blocks=5",
            "adapt.eval_blocks=5",
        ),
        *("tasks.stop-reasons.seeds=[1]", "tasks.stop-reasons.split.max_train=300"),
        *("tasks.sex.seeds=[1]", "tasks.sex.split={max_train: 200, max_test: 100}"),
        *("tasks.sex.finetune.max_length=64", "tasks.sex.others={}", "tasks.stop-reasons.others={}"),
        "tasks.stop-reasons.train_sizes=null",
        "tasks.sex.train_sizes={sizes: [100], draws: 1, min_steps: 1}",
    ]
    metrics = Experiment(load_recipe("registry", caps), tmp_path / "run").run(lambda line: None)
    assert metrics.data.read == 18549
    assert not metrics.made_up
    assert metrics.tasks["stop-reasons"].n == 500
    assert metrics.tasks["sex"].n == 100
    assert [point.rows for point in metrics.sizes["sex"].points] == [100]
    assert (tmp_path / "run" / "report" / "index.html").stat().st_size > 20_000
