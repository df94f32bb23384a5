"""Train a classifier on an encoder, base or adapted, and tune its decisions on rows kept aside."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from accelerate import PartialState
from pydantic import Field
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from trialtune.classifier.classifier import open_classifier
from trialtune.classifier.predictor import Predictor
from trialtune.classifier.windows import encode
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.seen import add_seen, write_seen
from trialtune.dataset.splits import split_examples
from trialtune.errors import DataError
from trialtune.evaluation.metrics import Metrics, log_loss, score
from trialtune.evaluation.prior_shift import log_prior_shift
from trialtune.evaluation.thresholds import Decision, tune_decision
from trialtune.files import atomic_folder, check_replaceable, fingerprint, folder_digest, write_json
from trialtune.models.encoders import check_length, encoder_digest, load_config, load_tokenizer
from trialtune.models.kernels import prepare_training
from trialtune.models.lora import LoraSettings, add_lora
from trialtune.models.sequence_classifier import (
    build_classifier,
    learning_rates,
    save_classifier,
    shift_bias,
    start_bias,
)
from trialtune.settings import Settings
from trialtune.tasks.task import Task
from trialtune.training.batching import TextBatches
from trialtune.training.checkpoint import Checkpoints
from trialtune.training.loop import Outcome, Progress, train
from trialtune.training.losses import LossName, classification_loss
from trialtune.training.settings import TrainSettings


class FinetuneSettings(Settings):
    """How a classifier is trained; base and adapted encoders get the same."""

    epochs: float = Field(4.0, gt=0)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(2e-4, gt=0)
    layer_decay: float = Field(1.0, gt=0, le=1, description="rate of a layer over that of the one above it")
    head_rate: float = Field(10.0, gt=0, description="rate of the head over that of the encoder's last layer")
    method: Literal["full", "lora"] = "full"
    lora: LoraSettings = LoraSettings(r=16, alpha=32)
    train_embeddings: bool = Field(False, description="half of a small encoder's weights, and slow")
    loss: LossName = "plain"
    patience: int | None = Field(
        None, ge=1, description="stop after so many epochs without a lower loss on the calibration rows"
    )
    teaching: float = Field(0.5, ge=0, le=1, description="share of the targets that teachers give")
    max_length: int | None = Field(None, ge=8, description="tokens; the task's own default when not set")
    calibration: float = Field(0.1, gt=0, lt=0.5, description="share of the rows that tunes the thresholds")
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 1


def finetune(
    task: Task,
    examples: pl.DataFrame,
    encoder: str,
    out: Path,
    *,
    settings: FinetuneSettings,
    adapter: Path | None = None,
    teachers: Sequence[Path] = (),
    report: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Train on `examples` (`nct_id`, `text`, `labels`) and write the classifier folder `out`.

    With `teachers`, classifier folders of the same task, the targets are a mixture of the labels and
    of the mean of their probabilities (distillation: Hinton et al., 2015, arXiv:1503.02531).

    The folder holds a plain `transformers` classifier, `decision.json` (thresholds),
    `training.json` (settings and scores on the calibration rows) and `seen.parquet`, the hashes of
    every text and the ids of every trial it or a teacher has seen, so that it is never scored on them.
    """
    check_replaceable(out)
    check_length(load_config(encoder), settings.max_length or task.max_length)
    train_rows, calibration_rows = keep_aside(task, examples, settings)
    making = _Making(
        task,
        settings,
        build_classifier(encoder, list(task.labels), kind=task.kind, adapter=adapter, seed=settings.seed),
        load_tokenizer(encoder),
        train_rows,
        calibration_rows,
    )
    key = fingerprint(
        settings,
        task.describe(),
        encoder_digest(encoder),
        [folder_digest(folder) for folder in (adapter, *teachers) if folder],
        examples.write_ndjson(),
    )
    outcome = making.fit(teachers, Checkpoints(out / "checkpoints", fingerprint=key), report)
    decision, scores = making.tune()
    summary = {
        "task": task.name,
        "encoder": encoder,
        "adapter": str(adapter) if adapter else None,
        "teachers": [str(teacher) for teacher in teachers],
        "max_length": making.max_length,
        "rows": {"train": len(train_rows), "calibration": len(calibration_rows)},
        "tokens": outcome.tokens,
        "tokens_per_s": outcome.tokens_per_s,
        "seconds": outcome.seconds,
        "kept_step": outcome.kept_step,
        "calibration": scores.model_dump(mode="json"),
        "settings": settings.model_dump(mode="json"),
    }
    if not PartialState().is_main_process:
        return summary
    with atomic_folder(out) as folder:
        save_classifier(making.model, making.tokenizer, folder)
        decision.save(folder)
        write_seen(examples, folder)
        for teacher in teachers:
            add_seen(teacher, folder)
        task.save(folder)
        write_json(folder / "training.json", summary)
    return summary


def keep_aside(
    task: Task, rows: pl.DataFrame, settings: FinetuneSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows to train on and those that tune the decision; raises what `split_examples` raises."""
    shares = {"train": 1 - settings.calibration, "calibration": settings.calibration}
    parts = split_examples(rows, fractions=shares, seed=settings.seed, kind=task.kind)
    return parts["train"], parts["calibration"]


@dataclass(frozen=True)
class _Making:
    """A classifier being made: its `model`, changed in place, and the rows it is made from."""

    task: Task
    settings: FinetuneSettings
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    train_rows: pl.DataFrame
    calibration_rows: pl.DataFrame

    @property
    def labels(self) -> list[str]:
        return list(self.task.labels)

    @property
    def max_length(self) -> int:
        return self.settings.max_length or self.task.max_length

    def fit(
        self, teachers: Sequence[Path], checkpoints: Checkpoints, report: Callable[[Progress], None] | None
    ) -> Outcome:
        """Train the model, LoRA merged in afterwards, and give evenly drawn classes their true shares."""
        settings, gold = self.settings, multi_hot(self.train_rows["labels"], self.labels)
        hard = torch.from_numpy(gold).float()
        start_bias(self.model, hard)
        batches = self._batches(hard, teachers)
        lora = add_lora(self.model, settings.lora) if settings.method == "lora" else None  # changes `model`
        _choose_weights(self.model, settings)
        prepare_training(self.model, tokens=self.max_length)
        outcome = train(
            self.model,
            batches,
            classification_loss(settings.loss, self.task.kind, hard),
            settings=TrainSettings(
                steps=math.ceil(settings.epochs * batches.per_epoch),
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                precision=settings.precision,
                patience=settings.patience,
                evaluate_every=batches.per_epoch,
                seed=settings.seed,
            ),
            evaluate=self._evaluate if settings.patience else None,
            rates=learning_rates(self.model, layer_decay=settings.layer_decay, head=settings.head_rate),
            checkpoints=checkpoints,
            report=report,
        )
        if lora:
            lora.merge_and_unload()
        if self.task.kind == "multi_class" and "weight" in self.train_rows.columns:
            shift = log_prior_shift(gold, self.train_rows["weight"].to_numpy())
            shift_bias(self.model, torch.from_numpy(shift))
        return outcome

    def tune(self) -> tuple[Decision, Metrics]:
        """The decision that suits the calibration rows, and its scores on them."""
        rows, kind = self.calibration_rows, self.task.kind
        gold, probabilities = multi_hot(rows["labels"], self.labels), self._probabilities()
        weights = rows["weight"].to_numpy() if "weight" in rows.columns else None
        decision = tune_decision(probabilities, gold, kind=kind, labels=self.labels, weights=weights)
        decided = decision.apply(probabilities)
        return decision, score(
            gold, decided.labels, self.labels, kind=kind, probabilities=decided.probabilities
        )

    def _batches(self, hard: torch.Tensor, teachers: Sequence[Path]) -> TextBatches:
        """The training rows; with teachers, their answers are mixed into the targets `hard`."""
        texts = self.train_rows["text"].to_list()
        soft = [torch.from_numpy(_teach(teacher, texts, self.labels)).float() for teacher in teachers]
        return TextBatches(
            encode(texts, self.tokenizer, max_length=self.max_length),
            torch.lerp(hard, torch.stack(soft).mean(dim=0), self.settings.teaching) if soft else hard,
            batch_size=self.settings.batch_size,
            pad_id=self.tokenizer.pad_token_id,
            seed=self.settings.seed,
        )

    def _evaluate(self, _: nn.Module) -> dict[str, Any]:
        gold = multi_hot(self.calibration_rows["labels"], self.labels)
        return {"loss": log_loss(self._probabilities(), gold)}

    def _probabilities(self) -> np.ndarray:
        """Of the calibration rows, by the model as it stands."""
        predictor = Predictor.of(
            self.model, self.tokenizer, max_length=self.max_length, precision=self.settings.precision
        )
        return predictor.probabilities(self.calibration_rows["text"].to_list())


def _teach(teacher: Path, texts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """A teacher's calibrated probabilities [texts, labels]; DataError when it has others."""
    predictor, decision, _ = open_classifier(teacher)
    if predictor.labels != labels:
        raise DataError(f"{teacher}: its labels ({', '.join(predictor.labels)}) are not {', '.join(labels)}")
    return decision.calibrate(predictor.probabilities(texts))


def _choose_weights(model: PreTrainedModel, settings: FinetuneSettings) -> None:
    """Freeze what is not to be trained: embeddings, or with LoRA all but its layers and the head."""
    for module in model.base_model.modules():
        if settings.method == "full" and isinstance(module, nn.Embedding):
            module.requires_grad_(settings.train_embeddings)
    if settings.method == "lora":
        for name, value in model.named_parameters():
            if not name.startswith(f"{model.base_model_prefix}.") or "pooler" in name:
                value.requires_grad_(True)
