"""Continue masked-language-model training of an encoder on a corpus folder."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from trialtune.corpus.blocks import read_blocks
from trialtune.corpus.build import Corpus, tokenizer_fingerprint
from trialtune.corpus.masking import Masker
from trialtune.errors import DataError
from trialtune.evaluation.mlm import mlm_metrics, score_line, token_counts
from trialtune.files import atomic_folder, check_replaceable, fingerprint, sha256_of, write_json
from trialtune.models.encoders import check_length, encoder_digest, load_config, load_tokenizer
from trialtune.models.lora import LoraSettings, add_lora, save_adapter
from trialtune.models.mlm import MaskedLM, head_parameters, load_masked_lm, save_head, start_head_bias
from trialtune.models.speed import prepare_training, set_dropout
from trialtune.settings import Settings
from trialtune.training.batching import MaskedBatches
from trialtune.training.checkpoint import Checkpoints
from trialtune.training.feed import Batch
from trialtune.training.loop import Progress, train
from trialtune.training.settings import TrainSettings


class AdaptSettings(Settings):
    """How an encoder is trained further."""

    method: Literal["lora", "full"] = Field("lora", description="full trains every weight")
    train: TrainSettings = TrainSettings()
    lora: LoraSettings = LoraSettings()
    mlm_probability: float = Field(0.15, gt=0, lt=1, description="share of tokens masked in training")
    whole_words: bool = Field(False, description="mask all pieces of a word together in training")
    dropout: float | None = Field(0.0, ge=0, lt=1, description="while adapting; the encoder's own when null")
    documents_apart: bool = Field(False, description="no attention between documents that share a block")
    gradient_checkpointing: bool = Field(False, description="less memory, about a third slower")
    compile: bool = Field(False, description="torch.compile the encoder; needs a C++ compiler")
    evaluation_blocks: int = Field(300, ge=1, description="held-out blocks scored, at fixed 15% masks")


def adapt(
    corpus: Path,
    encoder: str,
    out: Path,
    *,
    settings: AdaptSettings,
    old_corpus: Path | None = None,
    report: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Train on `corpus` and write `out`; returns what `out/metrics.json` holds.

    "lora" writes a PEFT adapter folder (with `mlm_head.safetensors` when the encoder had no head),
    "full" a plain `transformers` masked-LM folder. Scored on held-out text of `corpus` before,
    during and after, and on that of `old_corpus` (forgetting), at the same masks each time. A
    killed run continues from `out/checkpoints`. Raises DataError when the corpus was built with
    another tokeniser.
    """
    check_replaceable(out)
    tokenizer = load_tokenizer(encoder)
    described = Corpus.read(corpus)
    if described.tokenizer_sha256 != tokenizer_fingerprint(tokenizer):
        raise DataError(
            f"{corpus}: built with the tokeniser of {described.tokenizer!r}, not that of {encoder!r}; "
            f"run `trialtune corpus build ... --encoder {encoder}`"
        )
    check_length(load_config(encoder), described.block_size)
    pad_id = tokenizer.pad_token_id
    blocks = read_blocks(corpus / "train.parquet", pad_id=pad_id)
    heldout = read_blocks(corpus / "heldout.parquet", pad_id=pad_id).head(settings.evaluation_blocks)
    old = None
    if old_corpus:
        old = read_blocks(old_corpus / "heldout.parquet", pad_id=pad_id).head(settings.evaluation_blocks)

    torch.manual_seed(settings.train.seed)  # a fresh head and the LoRA matrices start at random
    model, has_head = load_masked_lm(encoder)
    if settings.dropout is not None:
        set_dropout(model, settings.dropout)
    if not has_head:
        start_head_bias(model, token_counts(blocks, model.config.vocab_size))
    adapter = add_lora(model, settings.lora) if settings.method == "lora" else None
    if adapter and not has_head:
        for parameter in head_parameters(model).values():
            parameter.requires_grad = True
    prepare_training(
        model,
        tokens=described.block_size,
        gradient_checkpointing=settings.gradient_checkpointing,
        compiled=settings.compile,
    )

    masker = Masker.of(tokenizer)
    batches = MaskedBatches(
        blocks,
        replace(masker, probability=settings.mlm_probability, whole_words=settings.whole_words),
        batch_size=settings.train.batch_size,
        seed=settings.train.seed,
    )

    def score(scored: nn.Module) -> dict[str, Any]:
        assert isinstance(scored, MaskedLM)
        measured = mlm_metrics(scored, heldout, masker)
        return measured | {"old": mlm_metrics(scored, old, masker)} if old else measured

    outcome = train(
        MaskedLM(model, separator=tokenizer.sep_token_id if settings.documents_apart else None),
        batches,
        _summed_loss,
        settings=settings.train.in_steps(
            steps_per_epoch=len(blocks) / settings.train.batch_size,
            tokens_per_step=blocks.tokens / len(blocks) * settings.train.batch_size,
        ),
        evaluate=score,
        checkpoints=Checkpoints(
            out / "checkpoints",
            fingerprint=fingerprint(settings, sha256_of(corpus / "train.parquet"), encoder_digest(encoder)),
            keep=settings.train.keep_checkpoints,
        ),
        report=report,
        logs=out.parent / "logs" / out.name,
    )
    first, last = outcome.history[0], outcome.history[-1]
    metrics = {
        "encoder": encoder,
        "method": settings.method,
        "fresh_head": not has_head,
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        **asdict(outcome),
        "forgetting": {"before": first["old"], "after": last["old"]} if old else None,
        "settings": settings.model_dump(mode="json"),
    }
    with atomic_folder(out) as folder:
        if adapter:
            save_adapter(adapter, folder, encoder=encoder)
            if not has_head:
                save_head(model, folder)
        else:
            model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_json(folder / "metrics.json", metrics)
        lines = [score_line(entry) for entry in outcome.history]
        (folder / "accuracy.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return metrics


def _summed_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    loss: torch.Tensor = model(batch["input_ids"], batch["labels"], batch["attention_mask"])
    return loss
