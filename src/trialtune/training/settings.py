"""Settings of the training loop."""

import math
from typing import Literal

from pydantic import Field

from trialtune.settings import Settings, panel

LossName = Literal["plain", "weighted", "focal", "asymmetric"]
_LENGTH, _WATCHING, _MACHINE = panel("How long"), panel("Watching"), panel("Machine")


class TrainSettings(Settings):
    """Settings of one training run; a step is one optimiser update. The first limit reached ends the run."""

    steps: int | None = Field(
        None,
        ge=1,
        description="Maximum optimiser steps; one pass over the data when no limit is given.",
        json_schema_extra=_LENGTH,
    )
    epochs: float | None = Field(
        None, gt=0, description="Maximum passes over the data.", json_schema_extra=_LENGTH
    )
    tokens: int | None = Field(
        None,
        ge=1,
        description="Maximum training tokens, without padding: 10_000_000 or 1e7.",
        json_schema_extra=_LENGTH,
    )
    max_minutes: float | None = Field(
        None,
        gt=0,
        description="Time limit; the learning rate decays by then.",
        json_schema_extra=_LENGTH,
    )
    early_stopping_patience: int | None = Field(
        None,
        ge=1,
        description="Stop after this many evaluations without a lower loss, and keep the best weights.",
        json_schema_extra=_LENGTH,
    )
    batch_size: int = Field(16, ge=1, description="Rows per step, over all processes.")
    learning_rate: float = Field(5e-4, gt=0, description="Peak learning rate.")
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="Learning rate schedule after the warm-up."
    )
    warmup_ratio: float = Field(0.06, ge=0, le=1, description="Share of the steps for warm-up from 0.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW, on matrices only.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    eval_steps: int = Field(
        100,
        ge=1,
        description="Steps between evaluations; also before the first and after the last step.",
        json_schema_extra=_WATCHING,
    )
    report_to: tuple[str, ...] = Field(
        (), description="tensorboard, wandb, mlflow, trackio...", json_schema_extra=_WATCHING
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="Arithmetic; auto: bf16 where it is native.", json_schema_extra=_MACHINE
    )
    gradient_accumulation_steps: int = Field(
        1,
        ge=1,
        description="Parts into which each process splits its rows, to save memory.",
        json_schema_extra=_MACHINE,
    )
    save_steps: int = Field(200, ge=1, description="Steps between checkpoints.", json_schema_extra=_MACHINE)
    save_total_limit: int = Field(2, ge=1, description="Checkpoints to keep.", json_schema_extra=_MACHINE)
    seed: int = Field(13, description="Random seed.")

    def in_steps(self, *, steps_per_epoch: float, tokens_per_step: float) -> "TrainSettings":
        """The same settings with the limits of epochs and tokens converted to steps."""
        limits = [self.steps]
        if self.epochs:
            limits.append(math.ceil(self.epochs * steps_per_epoch))
        if self.tokens:
            limits.append(math.ceil(self.tokens / tokens_per_step))
        steps = min((limit for limit in limits if limit), default=math.ceil(steps_per_epoch))
        return self.model_copy(update={"steps": steps, "epochs": None, "tokens": None})


# Settings that do not affect the result: a run may resume with other values.
HOW = {"gradient_accumulation_steps", "max_minutes", "save_steps", "save_total_limit", "report_to"}
