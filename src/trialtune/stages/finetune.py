"""Train a classifier on an encoder, base or adapted, and tune its decisions on rows kept aside."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from accelerate import PartialState
from pydantic import Field
from torch import nn
from transformers import PreTrainedModel

from trialtune.errors import DataError
from trialtune.evaluation.metrics import log_loss, score
from trialtune.evaluation.thresholds import tune_decision
from trialtune.files import atomic_folder, check_replaceable, fingerprint, folder_digest, write_json
from trialtune.inference.predictor import Predictor, encode
from trialtune.models.classifier import (
    build_classifier,
    learning_rates,
    save_classifier,
    shift_bias,
    start_bias,
)
from trialtune.models.encoders import check_length, encoder_digest, load_config, load_tokenizer
from trialtune.models.lora import LoraSettings, add_lora
from trialtune.models.speed import prepare_training
from trialtune.settings import Settings
from trialtune.stages.evaluate import open_classifier
from trialtune.tasks.seen import add_seen, write_seen
from trialtune.tasks.splits import split_examples
from trialtune.tasks.targets import multi_hot
from trialtune.tasks.task import Task
from trialtune.training.batching import TextBatches
from trialtune.training.checkpoint import Checkpoints
from trialtune.training.loop import Progress, train
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
    max_length = settings.max_length or task.max_length
    check_length(load_config(encoder), max_length)
    parts = split_examples(
        examples,
        fractions={"train": 1 - settings.calibration, "calibration": settings.calibration},
        seed=settings.seed,
        kind=task.kind,
    )
    labels = list(task.labels)
    tokenizer = load_tokenizer(encoder)
    model = build_classifier(encoder, labels, kind=task.kind, adapter=adapter, seed=settings.seed)
    texts = parts["train"]["text"].to_list()
    hard = torch.from_numpy(multi_hot(parts["train"]["labels"], labels)).float()
    start_bias(model, hard)
    soft = [torch.from_numpy(_teach(teacher, texts, labels)).float() for teacher in teachers]
    batches = TextBatches(
        encode(texts, tokenizer, max_length=max_length),
        torch.lerp(hard, torch.stack(soft).mean(dim=0), settings.teaching) if soft else hard,
        batch_size=settings.batch_size,
        pad_id=tokenizer.pad_token_id,
        seed=settings.seed,
    )
    lora = add_lora(model, settings.lora) if settings.method == "lora" else None  # changes `model`
    _choose_weights(model, settings)
    prepare_training(model, tokens=max_length)
    gold = multi_hot(parts["calibration"]["labels"], labels)

    def calibration_probabilities() -> np.ndarray:
        predictor = Predictor(model, tokenizer, max_length=max_length, precision=settings.precision)
        return predictor.probabilities(parts["calibration"]["text"].to_list())

    outcome = train(
        model,
        batches,
        classification_loss(settings.loss, task.kind, hard),
        settings=TrainSettings(
            steps=math.ceil(settings.epochs * batches.per_epoch),
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            precision=settings.precision,
            patience=settings.patience,
            evaluate_every=batches.per_epoch,
            seed=settings.seed,
        ),
        evaluate=(
            (lambda _: {"loss": log_loss(calibration_probabilities(), gold)}) if settings.patience else None
        ),
        rates=learning_rates(model, layer_decay=settings.layer_decay, head=settings.head_rate),
        checkpoints=Checkpoints(
            out / "checkpoints",
            fingerprint=fingerprint(
                settings,
                task.describe(),
                encoder_digest(encoder),
                [folder_digest(folder) for folder in (adapter, *teachers) if folder],
                examples.write_ndjson(),
            ),
        ),
        report=report,
    )
    if lora:
        lora.merge_and_unload()
    weighted = "weight" in examples.columns
    if weighted and task.kind == "multi_class":
        shift_bias(model, _prior_shift(task, parts["train"]))
    probabilities = calibration_probabilities()
    weights = parts["calibration"]["weight"].to_numpy() if weighted else None
    decision = tune_decision(probabilities, gold, kind=task.kind, labels=labels, weights=weights)
    decided = decision.apply(probabilities)
    summary = {
        "task": task.name,
        "encoder": encoder,
        "adapter": str(adapter) if adapter else None,
        "teachers": [str(teacher) for teacher in teachers],
        "max_length": max_length,
        "rows": {name: len(part) for name, part in parts.items()},
        "tokens": outcome.tokens,
        "tokens_per_s": outcome.tokens_per_s,
        "seconds": outcome.seconds,
        "kept_step": outcome.kept_step,
        "calibration": score(
            gold, decided.labels, labels, kind=task.kind, probabilities=decided.probabilities
        ),
        "settings": settings.model_dump(mode="json"),
    }
    if not PartialState().is_main_process:
        return summary
    with atomic_folder(out) as folder:
        save_classifier(model, tokenizer, folder)
        decision.save(folder)
        write_seen(examples, folder)
        for teacher in teachers:
            add_seen(teacher, folder)
        task.save(folder)
        write_json(folder / "training.json", summary)
    return summary


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


def _prior_shift(task: Task, rows: pl.DataFrame) -> torch.Tensor:
    """Log of each class's true share over its share of `rows`, by the rows' `weight`."""
    drawn = torch.from_numpy(multi_hot(rows["labels"], list(task.labels))).double()
    true = drawn * torch.from_numpy(rows["weight"].to_numpy().copy())[:, None]
    shares = [(counts.sum(dim=0) + 1) / (counts.sum() + len(task.labels)) for counts in (true, drawn)]
    return (shares[0] / shares[1]).log().float()
