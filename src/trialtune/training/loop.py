"""The training loop, used by base, adapt and finetune alike."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate.utils import broadcast_object_list
from torch import nn

from trialtune.errors import DataError, UsageError
from trialtune.models.kernels import hold_frozen_weights
from trialtune.models.precision import autocast_type
from trialtune.training.accelerator import close_trackers, open_accelerator, track
from trialtune.training.checkpoint import Checkpoints, RunState, load, trainable
from trialtune.training.prefetch import Batch, Batches, feed, share
from trialtune.training.seeds import step_seed
from trialtune.training.settings import TrainSettings
from trialtune.training.throughput import Meter, count_operations, matmul_peak

Evaluate = Callable[[nn.Module], dict[str, Any]]
LossOf = Callable[[nn.Module, Batch], torch.Tensor]
_SETTLED = 10  # steps after which the step time is used to predict the number of steps
Stopped = Literal["steps", "patience", "max_minutes"]


@dataclass(frozen=True)
class Progress:
    """Reported after every step, and once before the first."""

    step: int
    steps: int
    loss: float | None  # exponential moving average
    tokens_per_s: float  # of all processes together
    peak_share: float  # share of this machine's measured matrix-product peak
    scores: dict[str, Any] | None  # the history's newest entry, when this step was scored


@dataclass(frozen=True)
class Outcome:
    """The result of a training run, besides the trained weights."""

    history: list[dict[str, Any]]  # one entry per evaluation, the first before training
    tokens: int
    tokens_per_s: float  # of training without evaluation; of this process's steps
    peak_share: float
    seconds: float  # in total, with evaluation; for a killed run up to its last checkpoint
    stopped: Stopped  # what ended the run
    kept_step: int  # of the weights kept: the last, or with early stopping the best


def train(
    model: nn.Module,
    batches: Batches,
    loss_of: LossOf,
    *,
    settings: TrainSettings,
    evaluate: Evaluate | None = None,
    checkpoints: Checkpoints | None = None,
    rates: Mapping[str, float] | None = None,
    report: Callable[[Progress], None] | None = None,
    logs: Path | None = None,
) -> Outcome:
    """Train the parameters of `model` that require gradients, for `settings.steps` steps.

    `loss_of` returns the summed loss of some rows. Summed over all rows of a step it is divided by
    `batches.scored`, so that, without dropout, neither accumulation nor the number of processes
    changes the result. `rates` multiplies the learning rate of the parameters it names. `evaluate`
    scores the model (before, every `eval_steps` steps, after); its "loss" decides on early
    stopping. With `checkpoints`, a killed run resumes and ends with the same
    weights. Trackers write to `logs`. Frozen linear weights stay in the precision of the training.
    Raises DataError when the loss is no longer finite, UsageError when a batch does not fit into memory.
    """
    training = _Training(
        model,
        batches,
        loss_of,
        settings=settings,
        evaluate=evaluate,
        checkpoints=checkpoints,
        rates=rates or {},
        logs=logs,
    )
    try:
        return training.run(report)
    finally:
        close_trackers(training.accelerator)


class _Training:
    """A run in progress."""

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        loss_of: LossOf,
        *,
        settings: TrainSettings,
        evaluate: Evaluate | None,
        checkpoints: Checkpoints | None,
        rates: Mapping[str, float],
        logs: Path | None,
    ) -> None:
        self.model, self.batches, self.loss_of, self.settings = model, batches, loss_of, settings
        self.evaluate, self.checkpoints = evaluate, checkpoints
        self.accelerator = open_accelerator(settings, logs)
        device = self.accelerator.device
        precision = autocast_type(settings.precision, device)
        self.autocast = torch.autocast(device.type, dtype=precision, enabled=precision is not None)
        model.to(device)
        if precision:
            hold_frozen_weights(model, precision)
        self.parameters = [value for value in model.parameters() if value.requires_grad]
        optimizer = torch.optim.AdamW(
            _groups(trainable(model), settings.weight_decay, rates), betas=(0.9, 0.98), fused=True
        )
        self.state, self.best = checkpoints.restore(model, optimizer) if checkpoints else (RunState(), {})
        self.reachable = self.steps_in_time(self.state.seconds)
        self.wrapped, self.optimizer = self.accelerator.prepare(model, optimizer)
        peak = matmul_peak(device, precision or torch.float32)
        self.meter = Meter(peak=peak, processes=self.accelerator.num_processes)

    def run(self, report: Callable[[Progress], None] | None) -> Outcome:
        state, settings = self.state, self.settings
        started = time.perf_counter()
        before = state.seconds  # of this run, in earlier processes
        steps, patience = settings.steps, settings.early_stopping_patience
        assert steps is not None  # `TrainSettings.in_steps` has converted every limit to steps

        def tell(scores: dict[str, Any] | None) -> None:
            now = Progress(
                state.step, steps, state.average_loss, self.meter.tokens_per_s, self.meter.peak_share, scores
            )
            measured = {"train_loss": now.loss, "tokens_per_s": now.tokens_per_s}
            track(self.accelerator, state.step, {**measured, **(scores or {})})
            if report and self.accelerator.is_main_process:
                report(now)

        if state.step == 0:
            tell(self.score())
        stopped: Stopped = "steps"
        for batch in feed(self.batches, state.step, steps, pin=self.accelerator.device.type == "cuda"):
            tokens = int(batch["attention_mask"].sum())
            with self.meter.step(tokens):
                loss = self.backward(batch)
                self.update(loss)
            self.meter.operations = self.meter.operations or self.count_operations(batch)
            state.add(loss, tokens)
            state.seconds = before + time.perf_counter() - started
            late = self.is_late(state.seconds)
            due = late or state.step == steps or state.step % settings.eval_steps == 0
            scores = self.score() if due else None
            tell(scores)
            if state.step == steps:
                break
            if patience and state.scorings_since_best >= patience:
                stopped = "patience"
                break
            if late:
                stopped = "max_minutes"
                break
            if state.step % settings.save_steps == 0:
                self.save()
        kept_step = state.step
        if self.best:
            load(self.best, self.model)
            kept_step = state.history[state.best]["step"]
        self.model.eval()
        return Outcome(
            history=state.history,
            tokens=state.tokens,
            tokens_per_s=self.meter.tokens_per_s,
            peak_share=self.meter.peak_share,
            seconds=before + time.perf_counter() - started,
            stopped=stopped,
            kept_step=kept_step,
        )

    def count_operations(self, batch: Batch) -> float:
        """Matrix-product operations per token, counted on a row, without training on it."""
        rows = {name: value[:1].to(self.accelerator.device) for name, value in batch.items()}

        def forward_and_backward() -> None:
            self.model.train()
            with self.autocast:
                loss = self.loss_of(self.model, rows)
            loss.backward()  # type: ignore[no-untyped-call]
            self.model.zero_grad()

        return count_operations(forward_and_backward) / int(rows["attention_mask"].sum())

    def backward(self, batch: Batch) -> float:
        """Add up the gradients of this process's rows; returns the mean loss of all rows."""
        turns = self.settings.gradient_accumulation_steps
        parts = turns * self.accelerator.num_processes
        first = turns * self.accelerator.process_index
        self.model.train()
        try:
            losses = [self.backward_part(batch, first + turn, parts) for turn in range(turns)]
            return float(self.accelerator.reduce(torch.stack(losses).sum(), "sum").item())
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        raise self.too_large(batch)  # here, where the failed step's activations are freed

    def backward_part(self, batch: Batch, part: int, parts: int) -> torch.Tensor:
        """Add the gradients of one of `parts` shares of the batch; returns its share of the loss."""
        last = (part + 1) % (parts // self.accelerator.num_processes) == 0  # of this process: exchange now
        device, processes = self.accelerator.device, self.accelerator.num_processes
        scored = max(self.batches.scored(batch), 1)
        rows, counts = share(batch, part, parts)
        rows = {name: value.to(device, non_blocking=True) for name, value in rows.items()}
        torch.manual_seed(step_seed(self.settings.seed, self.state.step, part))  # what dropout drops
        with nullcontext() if last else self.accelerator.no_sync(self.wrapped):
            with self.autocast:
                loss = self.loss_of(self.wrapped, rows) * (counts / scored)
            self.accelerator.backward(loss * processes)  # processes' gradients are averaged, not summed
        return loss.detach()

    def update(self, loss: float) -> None:
        """One step of the optimiser, unless the loss or a gradient is not finite."""
        norm = self.accelerator.clip_grad_norm_(self.parameters, self.settings.max_grad_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise self.no_number(loss)
        for group in self.optimizer.param_groups:
            now = rate(self.state.step, self.settings, steps=self.reachable)
            group["lr"] = group["rate"] * self.settings.learning_rate * now
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def score(self) -> dict[str, Any] | None:
        """Evaluate the model, in the first process for all, and add the result to the history."""
        if self.evaluate is None:
            return None
        scores: list[dict[str, Any]] = [{}]
        if self.accelerator.is_main_process:
            self.model.eval()
            with torch.no_grad(), self.autocast:
                scores = [self.evaluate(self.model)]
        broadcast_object_list(scores)
        self.state.score(scores[0], epoch=self.batches.epoch(self.state.step))
        if self.settings.early_stopping_patience and self.state.scorings_since_best == 0:
            self.best = {name: value.detach().clone() for name, value in trainable(self.model).items()}
        return self.state.history[-1]

    def save(self) -> None:
        if self.checkpoints and self.accelerator.is_main_process:
            self.checkpoints.save(self.state, self.model, self.optimizer, best=self.best)
        self.accelerator.wait_for_everyone()

    def is_late(self, seconds: float) -> bool:
        """Whether the time is up, by the clock of the first process."""
        if self.settings.max_minutes is None:
            return False
        clock = torch.zeros(2, device=self.accelerator.device)
        if self.accelerator.is_main_process:
            clock[0], clock[1] = seconds > 60 * self.settings.max_minutes, self.steps_in_time(seconds)
        late, reachable = self.accelerator.reduce(clock, "sum").tolist()
        self.reachable = int(reachable)
        return bool(late)

    def steps_in_time(self, seconds: float) -> int:
        """The expected number of steps, so that the learning rate has decayed when the time is up."""
        steps, done = self.settings.steps or 1, self.state.step
        if self.settings.max_minutes is None or done < _SETTLED:
            return steps
        return min(steps, max(done + 1, int(60 * self.settings.max_minutes * done / seconds)))

    def no_number(self, loss: float) -> DataError:
        """Save the weights from before the failed step, and return the error."""
        self.save()
        what = "a gradient" if math.isfinite(loss) else f"the loss ({loss})"
        kept = f"; the weights from before it are in {self.checkpoints.own}" if self.checkpoints else ""
        return DataError(
            f"{what} is not finite at step {self.state.step + 1}; lower learning_rate "
            f"(now {self.settings.learning_rate}) or train in fp32{kept}"
        )

    def too_large(self, batch: Batch) -> UsageError:
        """Find into how many parts the batch must be split to fit into memory, and return the error."""
        rows, tokens = batch["input_ids"].shape
        processes, parts = self.accelerator.num_processes, self.settings.gradient_accumulation_steps
        problem = f"out of memory: {rows} rows of {tokens} tokens, in {parts * processes} part(s)"
        while parts * processes < rows:
            parts *= 2
            self.optimizer.zero_grad(set_to_none=True)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            try:
                self.backward_part(batch, 0, parts * processes)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            else:
                return UsageError(
                    f"{problem}; gradient_accumulation_steps={parts} should fit and gives the same result"
                )
        return UsageError(f"{problem}; not even one row fits: use gradient_checkpointing or shorter blocks")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory, on a GPU or a CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def rate(step: int, settings: TrainSettings, *, steps: int | None = None) -> float:
    """Share of the learning rate at `step` of `steps`: linear warm-up, then the chosen decay."""
    steps = steps or settings.steps or 1
    warmup = max(1, round(settings.warmup_ratio * steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    if settings.lr_scheduler_type == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0 if settings.lr_scheduler_type == "constant" else 1.0 - done


def _groups(
    parameters: Mapping[str, torch.Tensor], weight_decay: float, rates: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Parameters by learning rate, and with weight decay on matrices only, as in BERT."""
    groups: dict[tuple[float, float], list[torch.Tensor]] = {}
    for name, value in parameters.items():
        decay = weight_decay if value.ndim > 1 else 0.0
        groups.setdefault((rates.get(name, 1.0), decay), []).append(value)
    return [
        {"params": params, "rate": rate, "weight_decay": decay} for (rate, decay), params in groups.items()
    ]
