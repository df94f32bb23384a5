"""Settings of the stages: command-line options and recipe keys."""

from typing import Literal

from pydantic import Field, model_validator

from trialtune.errors import UsageError
from trialtune.models.settings import LoraSettings
from trialtune.settings import Settings, panel
from trialtune.training.settings import LossName, TrainSettings

_WATCHING, _MACHINE = panel("Watching"), panel("Machine")


class AdaptSettings(Settings):
    """How an encoder is adapted."""

    method: Literal["lora", "full"] = Field("lora", description="lora: an adapter; full: all weights.")
    train: TrainSettings = TrainSettings()
    mlm_probability: float = Field(0.15, gt=0, lt=1, description="Share of tokens masked in training.")
    whole_word_mask: bool = Field(False, description="Mask all pieces of a word together in training.")
    dropout: float | None = Field(
        0.0, ge=0, lt=1, description="Dropout in the encoder during adaptation; its own when null."
    )
    documents_apart: bool = Field(False, description="No attention between documents in the same block.")
    lora: LoraSettings = Field(LoraSettings(), json_schema_extra=panel("LoRA"))
    eval_blocks: int = Field(
        300, ge=1, description="Held-out blocks scored, with a fixed 15% mask.", json_schema_extra=_WATCHING
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
    """How a classifier is trained; the same for base and adapted encoders."""

    epochs: float = Field(4.0, gt=0, description="Passes over the rows.")
    batch_size: int = Field(32, ge=1, description="Rows per step.")
    learning_rate: float = Field(2e-4, gt=0, description="Peak learning rate of the encoder's last layer.")
    layerwise_lr_decay: float = Field(
        1.0, gt=0, le=1, description="Learning rate of a layer relative to the one above it."
    )
    head_lr_multiplier: float = Field(
        10.0, gt=0, description="Learning rate of the head relative to the encoder's last layer."
    )
    method: Method = Field(
        "auto",
        description="full: all weights; lora: LoRA layers; shipped: a linear layer on the shipped "
        "stop-reason classifier; read-out: one on the encoder; tf-idf: one on word pieces; auto: the best.",
    )
    budget_s: float | None = Field(
        None,
        gt=0,
        description="Seconds for auto's choice, estimated for two cores; default 60, or 0.2 per row.",
    )
    lora: LoraSettings = LoraSettings(r=16, lora_alpha=32)
    train_embeddings: bool = Field(
        False, description="Also train the embeddings: half of a small encoder's weights, and slow."
    )
    loss: LossName = Field("plain", description="plain is cross entropy; the others are for rare classes.")
    early_stopping_patience: int | None = Field(
        None,
        ge=1,
        description="Stop after this many epochs without a lower loss on the calibration rows, "
        "and keep the best weights.",
    )
    distillation_alpha: float = Field(0.5, ge=0, le=1, description="Weight of teachers in the targets.")
    max_length: int | None = Field(None, ge=8, description="Tokens per text; default the task's.")
    calibration_share: float = Field(
        0.1, gt=0, lt=0.5, description="Share of the rows used to fit calibration and thresholds."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="Arithmetic; auto: bf16 where it is native."
    )
    seed: int = Field(1, description="Random seed.")

    @property
    def trains_weights(self) -> bool:
        """Whether the encoder's own weights are trained."""
        return self.method in ("full", "lora")

    def of_weights(self) -> "FinetuneSettings":
        """These, for training weights: `full` for `auto`; raises UsageError for other methods."""
        if self.trains_weights:
            return self
        if self.method == "auto":
            return self.model_copy(update={"method": "full"})
        raise UsageError(f"method {self.method!r} does not train an encoder's weights; choose full or lora")


class PartSettings(Settings):
    """How rows are split: by a share unless folds or a date are given."""

    folds: int | None = Field(None, ge=2, le=100, description="Number of folds for cross-validation.")
    test_share: float = Field(0.2, gt=0, lt=1, description="Share of the rows held out.")
    after: str | None = Field(None, description="Hold out the rows of this date and later: 2017-04-30.")
    seed: int = Field(13, description="Random seed of the split.")

    @model_validator(mode="after")
    def _one_way(self) -> "PartSettings":
        if self.folds and self.after:
            raise ValueError("give --folds or --after, not both")
        return self
