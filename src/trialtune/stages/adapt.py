"""Continue masked-language-model training of an encoder on a corpus folder."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from trialtune.corpus.blocks import Blocks, Part, StoredBlocks, block_files, read_blocks
from trialtune.corpus.build import tokenizer_fingerprint
from trialtune.corpus.folder import Corpus
from trialtune.corpus.masking import Masker
from trialtune.dataset.seen import add_seen
from trialtune.errors import DataError
from trialtune.evaluation.mlm import mlm_metrics, token_counts
from trialtune.evaluation.mlm_result import MlmTraining
from trialtune.files import atomic_folder, check_replaceable, fingerprint, sha256_of, write_text
from trialtune.models.encoders import Encoder
from trialtune.models.kernels import prepare_training, set_dropout
from trialtune.models.lora import add_lora, save_adapter
from trialtune.models.mlm import MaskedLM, load_masked_lm, save_head, start_head_bias, unfreeze_head
from trialtune.models.precision import types_explained
from trialtune.reports.card import write_adapter_card
from trialtune.stages.settings import AdaptSettings
from trialtune.training.batching import MaskedBatches
from trialtune.training.checkpoint import Checkpoints
from trialtune.training.loop import Progress, train
from trialtune.training.prefetch import Batch
from trialtune.training.progress import score_line
from trialtune.training.settings import HOW, TrainSettings


@dataclass(frozen=True)
class Texts:
    """A corpus, built with the encoder's own tokeniser."""

    tokenizer: PreTrainedTokenizerFast
    block_size: int
    train: StoredBlocks
    heldout: Blocks
    old: Blocks | None  # held-out blocks of another corpus, to monitor forgetting


def read_texts(
    corpus: Path, encoder: Encoder, *, heldout_blocks: int, old_corpus: Path | None = None
) -> Texts:
    """Load a corpus for an encoder; raises DataError when it was built with another tokeniser."""
    tokenizer = encoder.tokenizer
    described = [Corpus.read(folder) for folder in (corpus, old_corpus) if folder]
    for folder, each in zip((corpus, old_corpus), described, strict=False):
        if each.tokenizer_sha256 != tokenizer_fingerprint(tokenizer):
            raise DataError(
                f"{folder}: built with the tokeniser of {each.tokenizer!r}, not that of {encoder.name!r}; "
                f"run `trialtune corpus build ... --encoder {encoder.name}`"
            )
        encoder.check_length(each.block_size)

    def blocks(folder: Path, part: Part) -> StoredBlocks:
        return read_blocks(folder, part, pad_id=tokenizer.pad_token_id)

    return Texts(
        tokenizer,
        described[0].block_size,
        blocks(corpus, "train"),
        blocks(corpus, "heldout").head(heldout_blocks),
        blocks(old_corpus, "heldout").head(heldout_blocks) if old_corpus else None,
    )


@dataclass(frozen=True)
class Plan:
    """A preview of `adapt`."""

    steps: int
    tokens: int  # for training
    epochs: float
    blocks: int
    block_size: int


def plan(texts: Texts, settings: AdaptSettings) -> tuple[TrainSettings, Plan]:
    """The training settings with every limit converted to steps, and the resulting totals."""
    blocks, batch_size = texts.train, settings.train.batch_size
    per_step = blocks.tokens / len(blocks) * batch_size
    schedule = settings.train.in_steps(steps_per_epoch=len(blocks) / batch_size, tokens_per_step=per_step)
    steps = schedule.steps or 0
    epochs = steps * batch_size / len(blocks)
    return schedule, Plan(steps, round(steps * per_step), epochs, len(blocks), texts.block_size)


def adapt(
    corpus: Path | str,
    encoder: Encoder | Path | str,
    out: Path | str,
    *,
    settings: AdaptSettings | None = None,
    old_corpus: Path | str | None = None,
    report: Callable[[Progress], None] | None = None,
) -> MlmTraining:
    """Continue masked-language-model training on a corpus.

    "lora" writes a PEFT adapter folder (with `mlm_head.safetensors` when the encoder had no head),
    "full" a plain `transformers` masked-LM folder. Scored on held-out text of `corpus` before,
    during and after, and on that of `old_corpus` (forgetting), at the same masks each time;
    `accuracy.log` has one line per evaluation, and `README.md`, the model card, a summary. A killed run
    resumes from `out/checkpoints`. Started with `torchrun` or `accelerate launch`, the processes share
    each step's rows.

    Args:
        corpus: A folder made by `build_corpus`.
        encoder: A folder, a Hub id, or a bundled one such as "embedded:minilm-l6".
        out: The folder to write.
        settings: See `AdaptSettings`.
        old_corpus: A corpus to monitor forgetting.
        report: Called with the progress after each step.

    Returns:
        The content of `out/metrics.json`.

    Raises:
        DataError: The corpus was built with another tokenizer.

    Examples:
        >>> from trialtune import adapt
        >>> training = adapt(corpus, encoder, out, settings=short)
        >>> training.kept.step == training.kept_step
        True
    """
    corpus, out, encoder = Path(corpus), Path(out), Encoder.open(encoder)
    old_corpus, settings = Path(old_corpus) if old_corpus else None, settings or AdaptSettings()
    check_replaceable(out)
    texts = read_texts(corpus, encoder, heldout_blocks=settings.eval_blocks, old_corpus=old_corpus)
    tokenizer = texts.tokenizer
    schedule, _ = plan(texts, settings)
    model, adapter, has_head = _open_model(encoder, texts, settings)
    masker = Masker.of(tokenizer)

    def score(scored: nn.Module) -> dict[str, Any]:
        assert isinstance(scored, MaskedLM)
        measured = mlm_metrics(scored, texts.heldout, masker).model_dump(mode="json")
        if texts.old is None:
            return measured
        return measured | {"old": mlm_metrics(scored, texts.old, masker).model_dump(mode="json")}

    with types_explained(model.config.model_type):
        outcome = train(
            MaskedLM(model, separator=tokenizer.sep_token_id if settings.documents_apart else None),
            MaskedBatches(
                texts.train,
                replace(
                    masker, probability=settings.mlm_probability, whole_word_mask=settings.whole_word_mask
                ),
                batch_size=schedule.batch_size,
                seed=schedule.seed,
            ),
            _summed_loss,
            settings=schedule,
            evaluate=score,
            checkpoints=Checkpoints(
                out / "checkpoints",
                fingerprint=fingerprint(
                    settings.model_dump(mode="json", exclude={"train": HOW, "gradient_checkpointing": True}),
                    encoder.digest,
                    *map(sha256_of, block_files(corpus, "train")),
                    *(
                        sha256_of(file)
                        for folder in (corpus, old_corpus)
                        if folder
                        for file in block_files(folder, "heldout")
                    ),
                ),
                keep=schedule.save_total_limit,
            ),
            report=report,
            logs=out.parent / "logs" / out.name,
        )
    first = outcome.history[0]
    kept = next(entry for entry in outcome.history if entry["step"] == outcome.kept_step)
    metrics = MlmTraining.model_validate(
        {
            "encoder": encoder.name,
            "method": settings.method,
            "fresh_head": not has_head,
            "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
            **asdict(outcome),
            "forgetting": {"before": first["old"], "after": kept["old"]} if texts.old else None,
            "settings": settings.model_dump(mode="json"),
        }
    )
    if not PartialState().is_main_process:
        return metrics
    with atomic_folder(out) as folder:
        if adapter:
            save_adapter(adapter, folder, encoder=encoder)
            if not has_head:
                save_head(model, folder)
        else:
            model.save_pretrained(folder)
            add_seen(encoder.folder, folder)
        tokenizer.save_pretrained(folder)
        metrics.save(folder / "metrics.json")
        lines = [score_line(entry) for entry in outcome.history]
        write_text(folder / "accuracy.log", "\n".join(lines) + "\n")
        write_adapter_card(folder, metrics)
    return metrics


def _open_model(
    encoder: Encoder, texts: Texts, settings: AdaptSettings
) -> tuple[PreTrainedModel, PeftModel | None, bool]:
    """The masked language model ready to train, its LoRA wrapper, and whether it had its own head."""
    torch.manual_seed(settings.train.seed)  # a new head and the LoRA matrices are initialized at random
    model, has_head = load_masked_lm(encoder)
    if settings.dropout is not None:
        set_dropout(model, settings.dropout)
    if not has_head:
        start_head_bias(model, token_counts(texts.train, model.config.vocab_size))
    adapter = add_lora(model, settings.lora) if settings.method == "lora" else None
    if adapter and not has_head:
        unfreeze_head(model)
    prepare_training(
        model,
        tokens=texts.block_size,
        gradient_checkpointing=settings.gradient_checkpointing,
        compiled=settings.compile,
    )
    return model, adapter, has_head


def _summed_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    loss: torch.Tensor = model(batch["input_ids"], batch["labels"], batch["attention_mask"])
    return loss
