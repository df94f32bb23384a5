"""Train a classifier on an encoder, base or adapted, and tune its decisions on rows kept aside."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from accelerate import PartialState
from pydantic import Field
from torch import nn

from trialtune.evaluation.metrics import score
from trialtune.evaluation.thresholds import tune_decision
from trialtune.files import atomic_folder, check_replaceable, fingerprint, folder_digest, write_json
from trialtune.inference.predictor import Predictor, encode
from trialtune.models.classifier import build_classifier, save_classifier, shift_bias, start_bias
from trialtune.models.encoders import check_length, encoder_digest, load_config, load_tokenizer
from trialtune.models.speed import prepare_training
from trialtune.settings import Settings
from trialtune.tasks.seen import write_seen
from trialtune.tasks.splits import split_examples
from trialtune.tasks.targets import multi_hot
from trialtune.tasks.task import Task
from trialtune.training.batching import TextBatches
from trialtune.training.checkpoint import Checkpoints
from trialtune.training.feed import Batch
from trialtune.training.loop import Progress, train
from trialtune.training.settings import TrainSettings


class FinetuneSettings(Settings):
    """How a classifier is trained; base and adapted encoders get the same."""

    epochs: float = Field(4.0, gt=0)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(2e-4, gt=0)
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
    report: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Train on `examples` (`nct_id`, `text`, `labels`) and write the classifier folder `out`.

    The folder holds a plain `transformers` classifier, `decision.json` (thresholds),
    `training.json` (settings and scores on the calibration rows) and `seen.parquet`, the hashes of
    every text and the ids of every trial it has seen, so that it is never scored on them.
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
    tokenizer = load_tokenizer(encoder)
    model = build_classifier(encoder, list(task.labels), kind=task.kind, adapter=adapter, seed=settings.seed)
    batches = TextBatches(
        encode(parts["train"]["text"].to_list(), tokenizer, max_length=max_length),
        _targets(task, parts["train"]),
        batch_size=settings.batch_size,
        pad_id=tokenizer.pad_token_id,
        seed=settings.seed,
    )
    start_bias(model, batches.targets)
    prepare_training(model, tokens=max_length)
    schedule = TrainSettings(
        steps=math.ceil(settings.epochs * batches.per_epoch),
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        precision=settings.precision,
        seed=settings.seed,
    )
    outcome = train(
        model,
        batches,
        _summed_loss(task.kind),
        settings=schedule,
        checkpoints=Checkpoints(
            out / "checkpoints",
            fingerprint=fingerprint(
                settings,
                task.name,
                encoder_digest(encoder),
                folder_digest(adapter) if adapter else None,
                examples.write_ndjson(),
            ),
        ),
        report=report,
    )
    if task.kind == "multi_class" and "weight" in examples.columns:
        shift_bias(model, _prior_shift(task, parts["train"]))
    predictor = Predictor(model, tokenizer, max_length=max_length, precision=settings.precision)
    probabilities = predictor.probabilities(parts["calibration"]["text"].to_list())
    gold = multi_hot(parts["calibration"]["labels"], predictor.labels)
    decision = tune_decision(probabilities, gold, kind=task.kind, labels=predictor.labels)
    summary = {
        "task": task.name,
        "encoder": encoder,
        "adapter": str(adapter) if adapter else None,
        "max_length": max_length,
        "rows": {name: len(part) for name, part in parts.items()},
        "tokens": outcome.tokens,
        "tokens_per_s": outcome.tokens_per_s,
        "seconds": outcome.seconds,
        "calibration": score(
            gold,
            decision.decide(probabilities),
            predictor.labels,
            kind=task.kind,
            probabilities=probabilities,
        ),
        "settings": settings.model_dump(mode="json"),
    }
    if not PartialState().is_main_process:
        return summary
    with atomic_folder(out) as folder:
        save_classifier(model, tokenizer, folder)
        decision.save(folder)
        write_seen(examples, folder)
        write_json(folder / "training.json", summary)
    return summary


def _targets(task: Task, rows: pl.DataFrame) -> torch.Tensor:
    """What the loss compares with: [rows, labels] 0/1 for multi-label, [rows] class numbers otherwise."""
    table = torch.from_numpy(multi_hot(rows["labels"], list(task.labels)))
    return table.float() if task.kind == "multi_label" else table.int().argmax(dim=1)


def _summed_loss(kind: str) -> Callable[[nn.Module, Batch], torch.Tensor]:
    """Cross entropy: the mean of each label's by itself for multi-label, of the classes otherwise."""

    def loss_of(model: nn.Module, batch: Batch) -> torch.Tensor:
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.float()
        if kind == "multi_class":
            return nn.functional.cross_entropy(logits, batch["labels"], reduction="sum")
        each = nn.functional.binary_cross_entropy_with_logits(logits, batch["labels"], reduction="none")
        return each.mean(dim=1).sum()

    return loss_of


def _prior_shift(task: Task, rows: pl.DataFrame) -> torch.Tensor:
    """Log of each class's true share over its share of `rows`, by the rows' `weight`."""
    drawn = torch.from_numpy(multi_hot(rows["labels"], list(task.labels))).double()
    true = drawn * torch.from_numpy(rows["weight"].to_numpy().copy())[:, None]
    shares = [(counts.sum(dim=0) + 1) / (counts.sum() + len(task.labels)) for counts in (true, drawn)]
    return (shares[0] / shares[1]).log().float()
