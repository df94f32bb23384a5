"""What the training loop is told."""

import math
from typing import Literal

from pydantic import Field

from trialtune.settings import Settings


class TrainSettings(Settings):
    """Settings of one training run; a step is one optimiser update. The first limit reached ends the run."""

    steps: int | None = Field(None, ge=1, description="limit; one pass over the data when no limit is given")
    epochs: float | None = Field(None, gt=0, description="limit: passes over the data")
    tokens: int | None = Field(None, ge=1, description="limit: tokens trained on, padding left out")
    max_minutes: float | None = Field(None, gt=0, description="limit of the clock; the rate is not rescaled")
    patience: int | None = Field(
        None, ge=1, description="stop after so many scorings without a better loss, and keep the best weights"
    )
    batch_size: int = Field(16, ge=1, description="rows a step, over all processes")
    accumulate: int = Field(1, ge=1, description="parts that a process cuts its rows into, to save memory")
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.06, ge=0, le=1, description="share of the steps over which the rate rises from 0")
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    max_grad_norm: float = Field(1.0, gt=0)
    evaluate_every: int = Field(100, ge=1, description="steps; also before the first and after the last")
    checkpoint_every: int = Field(200, ge=1, description="steps")
    keep_checkpoints: int = Field(2, ge=1)
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="auto: bf16 where it is native")
    trackers: tuple[str, ...] = Field((), description="tensorboard, wandb, mlflow, trackio...")
    seed: int = 13

    def in_steps(self, *, steps_per_epoch: float, tokens_per_step: float) -> "TrainSettings":
        """The same settings with the limits of epochs and tokens turned into one of steps."""
        limits = [self.steps]
        if self.epochs:
            limits.append(math.ceil(self.epochs * steps_per_epoch))
        if self.tokens:
            limits.append(math.ceil(self.tokens / tokens_per_step))
        steps = min((limit for limit in limits if limit), default=math.ceil(steps_per_epoch))
        return self.model_copy(update={"steps": steps, "epochs": None, "tokens": None})


# Where and how a run computes, not what: its checkpoints may go on with others of these.
HOW = {"accumulate", "max_minutes", "checkpoint_every", "keep_checkpoints", "trackers"}
