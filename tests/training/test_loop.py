"""The loop learns, stops on nonsense, and a killed run ends with the very same weights."""

import itertools
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from accelerate.utils import DistributedType
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from trialtune.errors import DataError, UsageError
from trialtune.evaluation.mlm import MlmTraining
from trialtune.files import read_json
from trialtune.stages.adapt import adapt
from trialtune.stages.settings import AdaptSettings
from trialtune.training.accelerator import refuse_sharding
from trialtune.training.checkpoint import Checkpoints, RunState
from trialtune.training.loop import Outcome, rate, train
from trialtune.training.settings import TrainSettings

# Runs the same training as `adapted`, and kills itself without a word after the given step.
KILLED = """
import os, signal, sys
from pathlib import Path
from trialtune.stages.adapt import adapt
from trialtune.stages.settings import AdaptSettings

def kill(progress):
    if progress.step == int(sys.argv[5]):
        os.kill(os.getpid(), signal.SIGKILL)

settings = AdaptSettings.model_validate_json(sys.argv[4])
adapt(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), settings=settings, report=kill)
"""


def settings(method: str) -> AdaptSettings:
    steps = TrainSettings(steps=24, batch_size=4, eval_steps=6, save_steps=5, learning_rate=1e-2)
    return AdaptSettings(method=method, train=steps, eval_blocks=10)


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
    assert resumed.history == whole.history
    cards = [ModelCard.load(tmp_path / name / "README.md") for name in ("killed", "whole")]
    assert str(cards[0]) == str(cards[1])
    assert cards[0].data.library_name == ("peft" if method == "lora" else "transformers")
    assert not (tmp_path / "killed" / "checkpoints").exists()


def test_a_damaged_checkpoint_is_passed_over(corpus, tiny_encoder, tmp_path, caplog) -> None:
    whole = adapt(corpus, tiny_encoder, tmp_path / "whole", settings=settings("lora"))
    run_killed(corpus, tiny_encoder, tmp_path / "killed", "lora", 18)
    newest = max((tmp_path / "killed" / "checkpoints").glob("*/step-*"))
    file = newest / "state.safetensors"
    file.write_bytes(file.read_bytes()[:-7] + b"garbage")
    resumed = adapt(corpus, tiny_encoder, tmp_path / "killed", settings=settings("lora"))
    assert newest.name in caplog.text
    assert resumed.history == whole.history


def test_checkpoints_of_other_settings_or_data_are_not_used(corpus, tiny_encoder, tmp_path, caplog) -> None:
    run_killed(corpus, tiny_encoder, tmp_path / "killed", "lora", 18)
    other = settings("lora").model_copy(update={"mlm_probability": 0.3})
    whole = adapt(corpus, tiny_encoder, tmp_path / "whole", settings=other, old_corpus=corpus)
    shutil.copytree(tmp_path / "killed", tmp_path / "copy")
    resumed = adapt(corpus, tiny_encoder, tmp_path / "killed", settings=other, old_corpus=corpus)
    assert resumed.history == whole.history
    assert "checkpoints are from other settings" in caplog.text
    watched = adapt(corpus, tiny_encoder, tmp_path / "copy", settings=settings("lora"), old_corpus=corpus)
    assert all(entry.old for entry in watched.history)


def test_a_run_goes_on_with_another_way_of_computing(corpus, tiny_encoder, tmp_path) -> None:
    whole = adapt(corpus, tiny_encoder, tmp_path / "whole", settings=settings("lora"))
    run_killed(corpus, tiny_encoder, tmp_path / "killed", "lora", 18)
    other = settings("lora").train.model_copy(update={"gradient_accumulation_steps": 2, "save_steps": 3})
    told = []
    resumed = adapt(
        corpus,
        tiny_encoder,
        tmp_path / "killed",
        settings=settings("lora").model_copy(update={"train": other}),
        report=told.append,
    )
    assert told[0].step == 16
    assert resumed.history[-1].loss == pytest.approx(whole.history[-1].loss, rel=1e-3)


def test_runs_of_two_settings_do_not_drop_one_anothers_checkpoints(tmp_path) -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    first, second = (Checkpoints(tmp_path / "c", fingerprint=mark) for mark in ("a", "b"))
    for step in (25, 30):
        first.save(RunState(step=step), model, optimizer)
    second.save(RunState(step=5), model, optimizer)
    assert second.restore(model, optimizer)[0].step == 5
    assert first.restore(model, optimizer)[0].step == 30


def test_a_killed_run_with_patience_keeps_the_same_best_weights(tmp_path) -> None:
    class Killed(Exception):
        pass

    def scores(stop_after: int | None):
        losses = iter([9.0, 5.0, 4.0, 4.5, 4.2, 4.4])

        def evaluate(model) -> dict[str, float]:
            if stop_after is not None and evaluate.calls == stop_after:
                raise Killed
            evaluate.calls += 1
            return {"loss": next(losses)}

        evaluate.calls = 0
        return evaluate

    whole, outcome = fit(scores(None), early_stopping_patience=3)
    checkpoints = Checkpoints(tmp_path / "c", fingerprint="f")
    with pytest.raises(Killed):
        fit(scores(4), checkpoints, early_stopping_patience=3, save_steps=4)
    later = iter([4.2, 4.4])  # of steps 20 and 25: the checkpoint is that of step 16
    resumed, again = fit(
        lambda model: {"loss": next(later)}, checkpoints, early_stopping_patience=3, save_steps=4
    )
    assert again.history == outcome.history
    assert again.kept_step == outcome.kept_step == 10
    assert torch.equal(resumed.weight, whole.weight)


def test_training_helps_and_the_start_is_measured(corpus, tiny_encoder, tmp_path) -> None:
    metrics = adapt(corpus, tiny_encoder, tmp_path / "a", settings=settings("full"), old_corpus=corpus)
    history = metrics.history
    assert [entry.step for entry in history] == [0, 6, 12, 18, 24]
    assert history[0].train_loss is None
    assert history[-1].loss < history[0].loss - 0.5
    assert metrics.forgetting.after == history[-1].old
    assert history[-1].old.loss == history[-1].loss  # the same text, so the same questions
    assert history[0].sections.keys() == {"Summary"}
    lines = (tmp_path / "a" / "accuracy.log").read_text().splitlines()
    assert lines[0].startswith("Accuracy after 0 epoch = ")
    assert len(lines) == len(history)
    assert MlmTraining.load(tmp_path / "a" / "metrics.json") == metrics


def test_a_corpus_of_another_tokeniser_is_refused(corpus, tiny_encoder, tmp_path) -> None:
    described = read_json(corpus / "corpus.json")
    other = tmp_path / "corpus"
    other.mkdir()
    for file in ("train-00000.arrow", "heldout-00000.arrow"):
        (other / file).write_bytes((corpus / file).read_bytes())
    (other / "corpus.json").write_text(str({**described, "tokenizer_sha256": "0"}).replace("'", '"'))
    with pytest.raises(DataError, match="tokeniser"):
        adapt(other, tiny_encoder, tmp_path / "a", settings=settings("lora"))


class Nonsense:
    """Batches whose first value turns into NaN at step 3."""

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        value = float("nan") if step == 3 else 1.0
        return {"x": torch.full((2, 1), value), "attention_mask": torch.ones(2, 1)}

    def scored(self, batch) -> int:
        return 2

    def epoch(self, step: int) -> float:
        return float(step)


class RootOfZero(torch.autograd.Function):
    """A number whose gradient is infinite."""

    @staticmethod
    def forward(ctx, x):
        return x * 0

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("inf")


def whole_loss(model, batch) -> torch.Tensor:
    return model(batch["x"]).square().sum()


def finite_loss(model, batch) -> torch.Tensor:
    loss = whole_loss(model, {"x": batch["x"].nan_to_num(1.0)})
    return loss + RootOfZero.apply(loss) if batch["x"].isnan().any() else loss


@pytest.mark.parametrize(
    ("loss_of", "what"),
    [(whole_loss, r"the loss \(nan\)"), (finite_loss, "a gradient")],
    ids=["loss", "gradient"],
)
def test_what_is_no_number_stops_the_run_and_keeps_the_weights_before_it(loss_of, what, tmp_path) -> None:
    model = nn.Linear(1, 1)
    checkpoints = Checkpoints(tmp_path / "c", fingerprint="f", keep=1)
    chosen = TrainSettings(steps=6, save_steps=2, precision="fp32")
    with pytest.raises(
        DataError, match=what + r" is not finite at step 4.*the weights from before it are in"
    ):
        train(model, Nonsense(), loss_of, settings=chosen, checkpoints=checkpoints)
    state, _ = checkpoints.restore(model, torch.optim.AdamW(model.parameters()))
    assert state.step == 3
    assert torch.isfinite(model.weight).all()


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    linear = TrainSettings(steps=100, warmup_ratio=0.1)
    assert rate(0, linear) == pytest.approx(0.1)
    assert rate(10, linear) == 1.0
    assert rate(99, linear) < 0.02
    cosine = linear.model_copy(update={"lr_scheduler_type": "cosine"})
    assert rate(55, cosine) == pytest.approx(0.5)
    constant = linear.model_copy(update={"lr_scheduler_type": "constant"})
    assert rate(99, constant) == 1.0


class Line:
    """Points on a line, eight a step, for a model of one weight; 16 steps are a pass."""

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        x = torch.randn(8, 1, generator=torch.Generator().manual_seed(step))
        return {"input_ids": x, "labels": 3 * x, "attention_mask": torch.ones(8, 1)}

    def scored(self, batch) -> int:
        return len(batch["labels"])

    def epoch(self, step: int) -> float:
        return step / 16


def squared(model, batch) -> torch.Tensor:
    return (model(batch["input_ids"]) - batch["labels"]).square().sum()


def fit(evaluate=None, checkpoints=None, loss_of=squared, **values) -> tuple[nn.Linear, Outcome]:
    torch.manual_seed(0)
    model = nn.Linear(1, 1)
    told = {"steps": 40, "learning_rate": 0.05, "precision": "fp32", "eval_steps": 5} | values
    chosen = TrainSettings(**told)
    return model, train(model, Line(), loss_of, settings=chosen, evaluate=evaluate, checkpoints=checkpoints)


@pytest.mark.parametrize("gradient_accumulation_steps", [2, 3, 8, 16])
def test_accumulation_changes_nothing(gradient_accumulation_steps) -> None:
    whole, _ = fit()
    parts, _ = fit(gradient_accumulation_steps=gradient_accumulation_steps)
    torch.testing.assert_close(parts.weight, whole.weight)
    torch.testing.assert_close(parts.bias, whole.bias)


def test_patience_ends_the_run_and_keeps_the_best_weights(tmp_path) -> None:
    losses = iter([9.0, 5.0, 4.0, 4.5, 4.2, 1.0])
    seen = []

    def evaluate(model) -> dict[str, float]:
        seen.append(model.weight.detach().clone())
        return {"loss": next(losses)}

    model, outcome = fit(evaluate, Checkpoints(tmp_path / "c", fingerprint="f"), early_stopping_patience=2)
    assert outcome.stopped == "patience"
    assert [entry["loss"] for entry in outcome.history] == [9.0, 5.0, 4.0, 4.5, 4.2]
    assert outcome.kept_step == outcome.history[2]["step"] == 10
    assert torch.equal(model.weight, seen[2])
    assert not torch.equal(seen[4], seen[2])


def test_when_the_time_is_up_the_run_ends_with_a_scoring() -> None:
    _, outcome = fit(lambda model: {"loss": 1.0}, max_minutes=1e-9)
    assert outcome.stopped == "max_minutes"
    assert [entry["step"] for entry in outcome.history] == [0, 1]


def test_a_limit_reached_at_the_last_step_is_no_early_stop() -> None:
    _, outcome = fit(lambda model: {"loss": 1.0}, steps=1, max_minutes=1e-9)
    assert outcome.stopped == "steps"


class Rows:
    """A row a step."""

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        return {name: torch.ones(1, 1, dtype=torch.int64) for name in ("input_ids", "attention_mask")}

    def scored(self, batch) -> int:
        return 1

    def epoch(self, step: int) -> float:
        return float(step)


def learning_rates_of(steps: int, *, seconds: float, **limits) -> list[float]:
    """What each step of a run moved the weight by, where Adam moves it by the learning rate."""
    model, places = nn.Linear(1, 1, bias=False), []
    nn.init.zeros_(model.weight)

    def loss(given: nn.Module, batch) -> torch.Tensor:
        time.sleep(seconds)
        return given(batch["input_ids"].float()).sum()

    train(
        model,
        Rows(),
        loss,
        settings=TrainSettings(steps=steps, learning_rate=1e-3, weight_decay=0, eval_steps=10**6, **limits),
        report=lambda progress: places.append(model.weight.item()),
    )
    return [before - after for before, after in itertools.pairwise(places)]


def test_the_learning_rate_has_fallen_when_the_time_is_up() -> None:
    rates = learning_rates_of(10_000, seconds=0.01, max_minutes=1 / 60)
    assert 20 < len(rates) < 200
    assert max(rates) == pytest.approx(1e-3, rel=0.2) and rates[-1] < 2e-4
    assert rates[-1] < rates[-len(rates) // 4] < rates[len(rates) // 2]


def test_a_limit_far_away_changes_nothing() -> None:
    assert learning_rates_of(40, seconds=0, max_minutes=60) == learning_rates_of(40, seconds=0)


def test_limits_become_steps() -> None:
    def steps(**limits) -> int | None:
        return TrainSettings(**limits).in_steps(steps_per_epoch=12.5, tokens_per_step=100).steps

    assert steps() == 13  # one pass
    assert steps(epochs=2) == 25
    assert steps(tokens=1001) == 11
    assert steps(steps=7, epochs=2, tokens=10_000) == 7


def test_out_of_memory_names_the_accumulation_that_fits() -> None:
    def greedy(model, batch) -> torch.Tensor:
        if len(batch["labels"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return squared(model, batch)

    with pytest.raises(
        UsageError, match=r"8 rows of 1 tokens, in 1 part.*gradient_accumulation_steps=4 should fit"
    ):
        fit(loss_of=greedy)
    fit(loss_of=greedy, gradient_accumulation_steps=4)


def test_out_of_memory_for_every_row() -> None:
    def full(model, batch) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with pytest.raises(UsageError, match="not even one row fits"):
        fit(loss_of=full)


def test_other_errors_stay_as_they_are() -> None:
    def broken(model, batch) -> torch.Tensor:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        fit(loss_of=broken)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_training_gives_the_same(corpus, tiny_encoder, tmp_path) -> None:
    plain = settings("full").model_copy(update={"train": TrainSettings(steps=4, precision="fp32")})
    compiled = plain.model_copy(update={"compile": True})
    counters = torch._dynamo.utils.counters["stats"]
    graphs = []
    expected = adapt(corpus, tiny_encoder, tmp_path / "plain", settings=plain).history[-1]
    trained = adapt(
        corpus,
        tiny_encoder,
        tmp_path / "compiled",
        settings=compiled,
        report=lambda now: graphs.append(counters["unique_graphs"]),
    ).history[-1]
    assert graphs[1] > graphs[0]  # the first is that of scoring, the next that of training
    assert trained.loss == pytest.approx(expected.loss, rel=1e-4)


def test_speed_is_told_as_a_share_of_the_machine() -> None:
    _, outcome = fit()
    assert outcome.tokens == 40 * 8
    assert outcome.tokens_per_s > 0
    assert 0 < outcome.peak_share < 1


def test_trackers(tmp_path) -> None:
    model, batches = nn.Linear(1, 1), Line()
    chosen = TrainSettings(steps=4, eval_steps=2, report_to=("tensorboard",), precision="fp32")
    scores = {"loss": 2.5, "old": {"loss": 3.5}}
    train(model, batches, squared, settings=chosen, evaluate=lambda _: scores, logs=tmp_path / "logs")
    events = EventAccumulator(str(tmp_path / "logs" / "trialtune"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(0, 2.5), (2, 2.5), (4, 2.5)]
    assert [e.value for e in events.Scalars("old/loss")] == [3.5, 3.5, 3.5]
    assert [e.step for e in events.Scalars("train_loss")] == [1, 2, 3, 4]


def test_a_tracker_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"'tensorbord': choose from.*tensorboard"):
        fit(report_to=("tensorbord",))
    with pytest.raises(UsageError, match="pip install comet_ml"):
        fit(report_to=("comet_ml",))


def test_sharded_models_are_refused() -> None:
    refuse_sharding(DistributedType.MULTI_GPU)
    with pytest.raises(UsageError, match=r"FSDP shards a model.*torchrun"):
        refuse_sharding(DistributedType.FSDP)
