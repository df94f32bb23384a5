"""Trains a classifier's weights from an encoder's, and tunes its decision rule on held-out rows."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from accelerate import PartialState
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from trialtune.classifier.folder import TRAINING_FILE, write_classifier_folder
from trialtune.classifier.torch_backend import predictor_of
from trialtune.dataset.extra_texts import ExtraTexts
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.overlap import check_no_overlap
from trialtune.dataset.seen import add_foundation_seen, add_seen, drop_seen, write_seen
from trialtune.evaluation.decision import Decision
from trialtune.evaluation.metrics import Metrics, log_loss, score
from trialtune.evaluation.prior_shift import log_prior_shift
from trialtune.evaluation.thresholds import tune_decision
from trialtune.evaluation.training_result import MethodScore, TrainingResult, TrainingRows
from trialtune.files import atomic_folder, fingerprint
from trialtune.models.adapters import find_adapter
from trialtune.models.bundled import SHIPPED
from trialtune.models.encoders import Encoder
from trialtune.models.kernels import masters_kept, prepare_training
from trialtune.models.lora import add_lora
from trialtune.models.precision import types_explained
from trialtune.models.sequence_classifier import (
    build_classifier,
    learning_rates,
    shift_bias,
    start_bias,
)
from trialtune.models.tokens import encode
from trialtune.reports.card import write_card
from trialtune.stages.aside import keep_aside
from trialtune.stages.settings import FinetuneSettings
from trialtune.stages.teachers import Answers, digest
from trialtune.tasks.task import Task
from trialtune.training.batching import TextBatches
from trialtune.training.checkpoint import Checkpoints
from trialtune.training.loop import Outcome, Progress, train
from trialtune.training.losses import classification_loss
from trialtune.training.settings import TrainSettings

log = logging.getLogger(__name__)


def train_weights(
    task: Task,
    examples: pl.DataFrame,
    encoder: Encoder | Path | str,
    out: Path,
    *,
    settings: FinetuneSettings,
    adapter: Path | str | None = None,
    teachers: Sequence[Path] = (),
    extra: ExtraTexts | None = None,
    calibration: pl.DataFrame | None = None,
    choice: Sequence[MethodScore] = (),
    report: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """`finetune` with the methods "full" and "lora"; `choice` has the candidates."""
    encoder, extra = Encoder.open(encoder), extra or ExtraTexts()
    merged = find_adapter(adapter) if adapter else None
    encoder.check_length(settings.max_length or task.max_length)
    if calibration is None:
        train_rows, calibration_rows = keep_aside(task, examples, settings)
    else:
        check_no_overlap(examples, calibration, names=("the rows", "the calibration rows"))
        train_rows, calibration_rows = examples, calibration
        examples = pl.concat([examples, calibration], how="diagonal")
    check_no_overlap(extra.rows(), calibration_rows, names=("the extra texts", "the calibration rows"))
    _, known = drop_seen(calibration_rows, encoder.folder)
    if len(known):
        log.warning(
            "encoder %r was trained on %d of the %d calibration rows: scores on them are too high",
            encoder.name,
            len(known),
            len(calibration_rows),
        )
    making = _Making(
        task,
        settings,
        build_classifier(encoder, list(task.labels), kind=task.kind, adapter=merged, seed=settings.seed),
        encoder.tokenizer,
        train_rows,
        calibration_rows,
        extra,
    )
    key = fingerprint(
        settings,
        task.describe(),
        encoder.digest,
        [digest(place) for place in (merged, *teachers) if place],
        examples.write_ndjson(),
        extra.unlabelled,
        extra.outliers,
        len(train_rows),
    )
    outcome = making.fit(teachers, Checkpoints(out / "checkpoints", fingerprint=key), report)
    decision, scores = making.tune()
    summary = TrainingResult(
        task=task.name,
        method=settings.method,
        encoder=encoder.name,
        adapter=str(adapter) if adapter else None,
        teachers=tuple(map(str, teachers)),
        max_length=making.max_length,
        rows=TrainingRows(
            train=len(train_rows),
            calibration=len(calibration_rows),
            unlabelled=len(extra.unlabelled),
            outliers=len(extra.outliers),
        ),
        tokens=outcome.tokens,
        tokens_per_s=outcome.tokens_per_s,
        seconds=outcome.seconds,
        kept_step=outcome.kept_step,
        calibration=scores,
        choice=tuple(choice),
        settings=settings.model_dump(mode="json"),
    )
    if not PartialState().is_main_process:
        return summary
    with atomic_folder(out) as folder:
        write_classifier_folder(
            folder,
            making.model,
            making.tokenizer,
            task=task,
            decision=decision,
            max_length=making.max_length,
        )
        write_seen(examples, folder, extra=(*extra.unlabelled, *extra.outliers))
        for source in teachers:
            add_seen(source, folder)
        # The shipped classifier has not seen labels of other schemes.
        others = encoder.name == SHIPPED and [*encoder.config.id2label.values()] != making.labels
        (add_foundation_seen if others else add_seen)(encoder.folder, folder)
        summary.save(folder / TRAINING_FILE)
        write_card(folder)
    return summary


@dataclass(frozen=True)
class _Making:
    """A classifier in training: its `model`, changed in place, and its rows."""

    task: Task
    settings: FinetuneSettings
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    train_rows: pl.DataFrame
    calibration_rows: pl.DataFrame
    extra: ExtraTexts

    @property
    def labels(self) -> list[str]:
        return list(self.task.labels)

    @property
    def max_length(self) -> int:
        return self.settings.max_length or self.task.max_length

    def fit(
        self, teachers: Sequence[Path], checkpoints: Checkpoints, report: Callable[[Progress], None] | None
    ) -> Outcome:
        """Train the model, merge LoRA, and correct evenly sampled classes to their true shares."""
        settings, gold = self.settings, multi_hot(self.train_rows["labels"], self.labels)
        hard = torch.from_numpy(gold).float()
        start_bias(self.model, hard)
        batches = self._batches(hard, teachers)
        lora = add_lora(self.model, settings.lora) if settings.method == "lora" else None  # changes `model`
        _choose_weights(self.model, settings)
        prepare_training(self.model, tokens=self.max_length)
        with masters_kept(self.model), types_explained(self.model.config.model_type):
            outcome = train(
                self.model,
                batches,
                classification_loss(settings.loss, self.task.kind, hard),
                settings=TrainSettings(
                    steps=math.ceil(settings.epochs * batches.per_epoch),
                    batch_size=settings.batch_size,
                    learning_rate=settings.learning_rate,
                    precision=settings.precision,
                    early_stopping_patience=settings.early_stopping_patience,
                    eval_steps=batches.per_epoch,
                    seed=settings.seed,
                ),
                evaluate=self._evaluate if settings.early_stopping_patience else None,
                rates=learning_rates(
                    self.model,
                    layerwise_lr_decay=settings.layerwise_lr_decay,
                    head_lr_multiplier=settings.head_lr_multiplier,
                ),
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
        """The decision fitted on the calibration rows, and its scores on them."""
        rows, kind = self.calibration_rows, self.task.kind
        gold, probabilities = multi_hot(rows["labels"], self.labels), self._probabilities()
        weights = rows["weight"].to_numpy() if "weight" in rows.columns else None
        decision = tune_decision(probabilities, gold, kind=kind, labels=self.labels, weights=weights)
        decided = decision.apply(probabilities)
        return decision, score(
            gold, decided.labels, self.labels, kind=kind, probabilities=decided.probabilities
        )

    def _batches(self, hard: torch.Tensor, teachers: Sequence[Path]) -> TextBatches:
        """The training rows, then the extra texts; teachers' predictions are mixed into `hard`."""
        labelled, extra = self.train_rows["text"].to_list(), self.extra
        answered = Answers.of(teachers, [*labelled, *extra.unlabelled], self.labels)
        mixed = answered.mixed_into(hard.numpy(), self.settings.distillation_alpha)
        unsure = 0.0 if self.task.kind == "multi_label" else 1 / len(self.labels)
        none = np.full((len(extra.outliers), len(self.labels)), unsure)
        targets = np.concatenate([mixed, answered.of_unlabelled(len(labelled)), none])
        return TextBatches(
            encode(
                [*labelled, *extra.unlabelled, *extra.outliers], self.tokenizer, max_length=self.max_length
            ),
            torch.from_numpy(targets).float(),
            batch_size=self.settings.batch_size,
            pad_id=self.tokenizer.pad_token_id,
            seed=self.settings.seed,
        )

    def _evaluate(self, _: nn.Module) -> dict[str, Any]:
        gold = multi_hot(self.calibration_rows["labels"], self.labels)
        return {"loss": log_loss(self._probabilities(), gold)}

    def _probabilities(self) -> np.ndarray:
        """Of the calibration rows, by the current model."""
        predictor = predictor_of(
            self.model, self.tokenizer, max_length=self.max_length, precision=self.settings.precision
        )
        return predictor.probabilities(self.calibration_rows["text"].to_list())


def _choose_weights(model: PreTrainedModel, settings: FinetuneSettings) -> None:
    """Freeze embeddings, or with LoRA everything but its layers and the head."""
    for module in model.base_model.modules():
        if settings.method == "full" and isinstance(module, nn.Embedding):
            module.requires_grad_(settings.train_embeddings)
    if settings.method == "lora":
        for name, value in model.named_parameters():
            if not name.startswith(f"{model.base_model_prefix}.") or "pooler" in name:
                value.requires_grad_(True)
