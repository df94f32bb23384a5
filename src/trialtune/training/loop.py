"""The training loop, used by base, adapt and finetune alike."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import nn

from trialtune.errors import DataError
from trialtune.training.checkpoint import Checkpoints, RunState
from trialtune.training.settings import TrainSettings, autocast_type

Batch = Mapping[str, torch.Tensor]


class Batches(Protocol):
    """Batches of a run, each a pure function of its step: the data position is the step's number."""

    def __getitem__(self, step: int) -> Batch: ...

    def epoch(self, step: int) -> float:
        """Passes over the data that are done after `step` steps."""


@dataclass(frozen=True)
class Progress:
    """What is told after every step."""

    step: int
    steps: int
    loss: float  # exponential moving average
    tokens_per_s: float


@dataclass(frozen=True)
class Outcome:
    """What a training run leaves beside the trained weights."""

    history: list[dict[str, Any]]  # one entry a scoring, the first from before training
    tokens: int
    tokens_per_s: float  # of training alone, scoring left out; of this process's steps
    seconds: float


def train(
    model: nn.Module,
    batches: Batches,
    loss_of: Callable[[nn.Module, Batch], torch.Tensor],
    *,
    settings: TrainSettings,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    checkpoints: Checkpoints | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Train the parameters of `model` that require gradients, for `settings.steps` steps.

    `loss_of` gives the mean loss of a batch; `evaluate` scores the model (before, every
    `evaluate_every` steps, after). With `checkpoints`, a killed run continues where it was and
    ends with the same weights. Raises DataError when the loss stops being finite.
    """
    accelerator = Accelerator()
    precision = autocast_type(settings.precision, accelerator.device)
    parameters = [value for value in model.parameters() if value.requires_grad]
    model.to(accelerator.device)
    optimizer = torch.optim.AdamW(
        _decay_groups(model, settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.98), fused=True
    )
    state = checkpoints.restore(model, optimizer) if checkpoints else RunState()
    model, optimizer = accelerator.prepare(model, optimizer)

    def score() -> None:
        if evaluate is not None:
            model.eval()
            with torch.no_grad(), _autocast(accelerator.device, precision):
                measured = evaluate(model)
            where = {"step": state.step, "epoch": round(batches.epoch(state.step), 4), "tokens": state.tokens}
            state.history.append({**where, "train_loss": state.average_loss, **measured})

    if state.step == 0:
        score()
    seen, seconds, started = 0, 0.0, time.perf_counter()
    while state.step < settings.steps:
        step_started = time.perf_counter()
        model.train()
        torch.manual_seed(step_seed(settings.seed, state.step))  # dropout, too, is a function of the step
        batch = {name: value.to(accelerator.device) for name, value in batches[state.step].items()}
        with _autocast(accelerator.device, precision):
            loss = loss_of(model, batch)
        accelerator.backward(loss)
        nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate(state.step, settings)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        state.step += 1
        if not math.isfinite(value):
            raise DataError(
                f"the loss became {value} at step {state.step}; lower learning_rate "
                f"(now {settings.learning_rate}) or train in fp32"
            )
        average = state.average_loss
        state.average_loss = value if average is None else 0.95 * average + 0.05 * value
        size = int(batch["attention_mask"].sum())
        state.tokens, seen = state.tokens + size, seen + size
        seconds += time.perf_counter() - step_started
        if report:
            report(Progress(state.step, settings.steps, state.average_loss, seen / seconds))
        if state.step == settings.steps or state.step % settings.evaluate_every == 0:
            score()
        if checkpoints and state.step < settings.steps and state.step % settings.checkpoint_every == 0:
            checkpoints.save(state, accelerator.unwrap_model(model), optimizer)
    model.eval()
    tokens_per_s = seen / seconds if seconds else 0.0
    return Outcome(state.history, state.tokens, tokens_per_s, time.perf_counter() - started)


def step_seed(seed: int, step: int) -> int:
    """The seed of one step's random choices."""
    return (seed * 1_000_003 + step) % 2**63


def rate(step: int, settings: TrainSettings) -> float:
    """Share of the learning rate at `step`: linear warm-up, then the chosen decay."""
    warmup = max(1, round(settings.warmup * settings.steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, settings.steps - warmup)
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0 if settings.schedule == "constant" else 1.0 - done


def _autocast(device: torch.device, precision: torch.dtype | None) -> torch.autocast:
    return torch.autocast(device.type, dtype=precision, enabled=precision is not None)


def _decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices only, as BERT was trained: biases and layer norms have none."""
    trained = [value for value in model.parameters() if value.requires_grad]
    return [
        {"params": [value for value in trained if value.ndim > 1], "weight_decay": weight_decay},
        {"params": [value for value in trained if value.ndim <= 1], "weight_decay": 0.0},
    ]
