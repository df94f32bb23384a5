"""The loop learns, stops on nonsense, and a killed run ends with the very same weights."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from trialtune.corpus.build import CorpusSettings, build_corpus
from trialtune.errors import DataError
from trialtune.files import read_json
from trialtune.stages.adapt import AdaptSettings, adapt
from trialtune.training.checkpoint import Checkpoints
from trialtune.training.loop import rate, train
from trialtune.training.settings import TrainSettings

# Runs the same training as `adapted`, and kills itself without a word after the given step.
KILLED = """
import os, signal, sys
from pathlib import Path
from trialtune.stages.adapt import AdaptSettings, adapt

def kill(progress):
    if progress.step == int(sys.argv[5]):
        os.kill(os.getpid(), signal.SIGKILL)

settings = AdaptSettings.model_validate_json(sys.argv[4])
adapt(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), settings=settings, report=kill)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, tiny_tokenizer) -> Path:
    words = "the study of patients with cancer was stopped because recruitment was slow".split()
    texts = [" ".join(words[(n + k) % len(words)] for k in range(20)) for n in range(120)]
    frame = pl.DataFrame({"nct_id": [f"NCT{n:08d}" for n in range(120)], "brief_summary": texts})
    out = tmp_path_factory.mktemp("corpus") / "c"
    build_corpus(frame, tiny_tokenizer, out, settings=CorpusSettings(block_size=32, heldout=0.2))
    return out


def settings(method: str) -> AdaptSettings:
    steps = TrainSettings(steps=24, batch_size=4, evaluate_every=6, checkpoint_every=5, learning_rate=1e-2)
    return AdaptSettings(method=method, train=steps, evaluation_blocks=10)


def run_killed(corpus: Path, encoder: str, out: Path, method: str, step: int) -> None:
    arguments = [str(corpus), encoder, str(out), settings(method).model_dump_json(), str(step)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {key: value for file in folder.glob("*.safetensors") for key, value in load_file(file).items()}


@pytest.mark.parametrize(("method", "step"), [("lora", 13), ("full", 20)])
def test_sigkill_and_resume_is_bit_identical(corpus, tiny_encoder, tmp_path, method, step) -> None:
    whole = adapt(corpus, tiny_encoder, tmp_path / "whole", settings=settings(method))
    run_killed(corpus, tiny_encoder, tmp_path / "killed", method, step)
    assert list((tmp_path / "killed" / "checkpoints").iterdir())
    resumed = adapt(corpus, tiny_encoder, tmp_path / "killed", settings=settings(method))
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert resumed["history"] == whole["history"]
    assert not (tmp_path / "killed" / "checkpoints").exists()


def test_a_damaged_checkpoint_is_passed_over(corpus, tiny_encoder, tmp_path, caplog) -> None:
    whole = adapt(corpus, tiny_encoder, tmp_path / "whole", settings=settings("lora"))
    run_killed(corpus, tiny_encoder, tmp_path / "killed", "lora", 18)
    newest = max((tmp_path / "killed" / "checkpoints").glob("step-*"))
    file = newest / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-7] + b"garbage")
    resumed = adapt(corpus, tiny_encoder, tmp_path / "killed", settings=settings("lora"))
    assert newest.name in caplog.text
    assert resumed["history"] == whole["history"]


def test_checkpoints_of_other_settings_are_not_used(corpus, tiny_encoder, tmp_path) -> None:
    run_killed(corpus, tiny_encoder, tmp_path / "killed", "lora", 18)
    other = settings("lora").model_copy(update={"mlm_probability": 0.3})
    whole = adapt(corpus, tiny_encoder, tmp_path / "whole", settings=other)
    resumed = adapt(corpus, tiny_encoder, tmp_path / "killed", settings=other)
    assert resumed["history"] == whole["history"]


def test_training_helps_and_the_start_is_measured(corpus, tiny_encoder, tmp_path) -> None:
    metrics = adapt(corpus, tiny_encoder, tmp_path / "a", settings=settings("full"), old_corpus=corpus)
    history = metrics["history"]
    assert [entry["step"] for entry in history] == [0, 6, 12, 18, 24]
    assert history[0]["train_loss"] is None
    assert history[-1]["loss"] < history[0]["loss"] - 0.5
    assert metrics["forgetting"]["after"] == history[-1]["old"]
    assert history[-1]["old"]["loss"] == history[-1]["loss"]  # the same text, so the same questions
    assert history[0]["sections"].keys() == {"Summary"}
    lines = (tmp_path / "a" / "accuracy.log").read_text().splitlines()
    assert lines[0].startswith("Accuracy after 0 epoch = ")
    assert len(lines) == len(history)
    assert read_json(tmp_path / "a" / "metrics.json") == metrics


def test_a_corpus_of_another_tokeniser_is_refused(corpus, tiny_encoder, tmp_path) -> None:
    described = read_json(corpus / "corpus.json")
    other = tmp_path / "corpus"
    other.mkdir()
    for file in ("train.parquet", "heldout.parquet"):
        (other / file).write_bytes((corpus / file).read_bytes())
    (other / "corpus.json").write_text(str({**described, "tokenizer_sha256": "0"}).replace("'", '"'))
    with pytest.raises(DataError, match="tokeniser"):
        adapt(other, tiny_encoder, tmp_path / "a", settings=settings("lora"))


class Nonsense:
    """Batches whose loss turns into NaN at step 3."""

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        value = float("nan") if step == 3 else 1.0
        return {"x": torch.full((2, 1), value), "attention_mask": torch.ones(2, 1)}

    def scored(self, batch) -> int:
        return 2

    def epoch(self, step: int) -> float:
        return float(step)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(tmp_path) -> None:
    model = nn.Linear(1, 1)
    checkpoints = Checkpoints(tmp_path / "c", fingerprint="f")
    with pytest.raises(DataError, match=r"step 4.*the weights before it are in"):
        train(
            model,
            Nonsense(),
            lambda model, batch: model(batch["x"]).square().sum(),
            settings=TrainSettings(steps=6, checkpoint_every=2, precision="fp32"),
            checkpoints=checkpoints,
        )
    assert checkpoints.restore(model, torch.optim.AdamW(model.parameters())).step == 3
    assert torch.isfinite(model.weight).all()


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    linear = TrainSettings(steps=100, warmup=0.1)
    assert rate(0, linear) == pytest.approx(0.1)
    assert rate(10, linear) == 1.0
    assert rate(99, linear) < 0.02
    cosine = linear.model_copy(update={"schedule": "cosine"})
    assert rate(55, cosine) == pytest.approx(0.5)
    constant = linear.model_copy(update={"schedule": "constant"})
    assert rate(99, constant) == 1.0
