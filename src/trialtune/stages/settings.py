"""What the stages are told: their options on the command line, and the keys of a recipe."""

from typing import Literal

from pydantic import Field, model_validator

from trialtune.errors import UsageError
from trialtune.models.settings import LoraSettings
from trialtune.settings import Settings, panel
from trialtune.training.settings import LossName, TrainSettings

_WATCHING, _MACHINE = panel("Watching"), panel("Machine")


class AdaptSettings(Settings):
    """How an encoder is trained further."""

    method: Literal["lora", "full"] = Field("lora", description="lora: an adapter; full: all weights.")
    train: TrainSettings = TrainSettings()
    mlm_probability: float = Field(0.15, gt=0, lt=1, description="Share of tokens masked in training.")
    whole_word_mask: bool = Field(False, description="Mask all pieces of a word together in training.")
    dropout: float | None = Field(
        0.0, ge=0, lt=1, description="Dropout in the encoder while adapting; its own when null."
    )
    documents_apart: bool = Field(False, description="No attention between documents that share a block.")
    lora: LoraSettings = Field(LoraSettings(), json_schema_extra=panel("LoRA"))
    eval_blocks: int = Field(
        300, ge=1, description="Held-out blocks scored, at fixed 15% masks.", json_schema_extra=_WATCHING
    )
    gradient_checkpointing: bool = Field(
        False, description="Less memory, about a third slower.", json_schema_extra=_MACHINE
    )
    compile: bool = Field(
        False,
        description="torch.compile the encoder; needs a C++ compiler.",
        json_schema_extra=_MACHINE,
    )


Method = Literal["auto", "tf-idf", "read-out", "shipped", "lora", "full"]


class FinetuneSettings(Settings):
    """How a classifier is trained; base and adapted encoders get the same."""

    epochs: float = Field(4.0, gt=0, description="Passes over the rows.")
    batch_size: int = Field(32, ge=1, description="Rows a step.")
    learning_rate: float = Field(2e-4, gt=0, description="Peak learning rate of the encoder's last layer.")
    layerwise_lr_decay: float = Field(
        1.0, gt=0, le=1, description="Rate of a layer over that of the one above it."
    )
    head_lr_multiplier: float = Field(
        10.0, gt=0, description="Rate of the head over that of the encoder's last layer."
    )
    method: Method = Field(
        "auto",
        description="full: all weights; lora: LoRA layers; shipped: a linear layer on the shipped "
        "stop-reason classifier; read-out: one on the encoder; tf-idf: one on word pieces; auto: the best.",
    )
    budget_s: float | None = Field(
        None,
        gt=0,
        description="Seconds that auto may take to choose, by estimate on two cores; 60, or 0.2 a row.",
    )
    lora: LoraSettings = LoraSettings(r=16, lora_alpha=32)
    train_embeddings: bool = Field(
        False, description="Train the embeddings, too: half of a small encoder's weights, and slow."
    )
    loss: LossName = Field("plain", description="plain is cross entropy; the others are for rare classes.")
    early_stopping_patience: int | None = Field(
        None,
        ge=1,
        description="Stop after so many epochs without a lower loss on the calibration rows, "
        "and keep the best weights.",
    )
    distillation_alpha: float = Field(0.5, ge=0, le=1, description="Share of the targets that teachers give.")
    max_length: int | None = Field(None, ge=8, description="Tokens of a text; else the task's own.")
    calibration_share: float = Field(
        0.1, gt=0, lt=0.5, description="Share of the rows that tunes calibration and thresholds."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="Arithmetic; auto: bf16 where it is native."
    )
    seed: int = Field(1, description="Seed of everything random.")

    @property
    def trains_weights(self) -> bool:
        """Whether the encoder's own weights are trained."""
        return self.method in ("full", "lora")

    def of_weights(self) -> "FinetuneSettings":
        """These, to train an encoder's weights by: `full` for `auto`; raises UsageError for other methods."""
        if self.trains_weights:
            return self
        if self.method == "auto":
            return self.model_copy(update={"method": "full"})
        raise UsageError(f"method {self.method!r} trains no encoder's weights; choose full or lora")


class PartSettings(Settings):
    """How rows are divided: by a share unless folds or a date are given."""

    folds: int | None = Field(None, ge=2, le=100, description="So many folds for cross-validation.")
    test_share: float = Field(0.2, gt=0, lt=1, description="Share of the rows that is held out.")
    after: str | None = Field(None, description="Hold out the rows of this date and later: 2017-04-30.")
    seed: int = Field(13, description="Seed of the draw.")

    @model_validator(mode="after")
    def _one_way(self) -> "PartSettings":
        if self.folds and self.after:
            raise ValueError("give --folds or --after, not both")
        return self
