"""Scores of a masked language model on held-out text, at fixed masks."""

import math
from typing import Any, Literal

import numpy as np
import torch

from trialtune.corpus.blocks import Blocks, BlockSource
from trialtune.corpus.documents import SECTION_NAMES
from trialtune.corpus.masking import IGNORE, Masker
from trialtune.models.mlm import MaskedLM
from trialtune.results import Result

_BATCH = 32


class MlmScores(Result):
    """How well masked tokens were predicted: `loss` in nats, at `masked` positions."""

    accuracy: float
    loss: float
    perplexity: float
    masked: int


class TextScores(MlmScores):
    """The scores of a text and of its sections, which are empty for blocks without section information."""

    sections: dict[str, MlmScores]


class Scoring(TextScores):
    """One entry of a training's history: its progress and scores."""

    step: int
    epoch: float
    tokens: int
    train_loss: float | None
    old: TextScores | None = None  # on held-out text of older trials, when monitored


class Forgetting(Result):
    """The scores on older trials before and after training."""

    before: TextScores
    after: TextScores


class MlmTraining(Result):
    """The result of masked-language-model training: the `metrics.json` of `trialtune adapt`."""

    encoder: str
    method: Literal["lora", "full"]
    fresh_head: bool  # the encoder had none
    trainable_parameters: int
    history: tuple[Scoring, ...]  # the first before training
    tokens: int
    tokens_per_s: float
    peak_share: float  # of this machine's matrix-product peak
    seconds: float
    stopped: Literal["steps", "patience", "max_minutes"]
    kept_step: int  # the step of the weights kept
    forgetting: Forgetting | None
    settings: dict[str, Any]  # as JSON: their class belongs to training

    @property
    def kept(self) -> Scoring:
        """The scores of the weights kept: the last or, with patience, the best."""
        return next(entry for entry in self.history if entry.step == self.kept_step)


def mlm_metrics(model: MaskedLM, blocks: Blocks, masker: Masker, *, seed: int = 0) -> TextScores:
    """Accuracy, loss (nats) and perplexity at the masked positions of `blocks`.

    The masks depend only on `seed` and the blocks, so two models, or one model at two times, are
    scored at exactly the same positions. Blocks with section information are also scored by section.
    """
    input_ids, labels = masker(blocks.input_ids.long(), seed=seed)
    device = next(model.parameters()).device
    losses, hits = [], []
    for start in range(0, len(blocks), _BATCH):
        part = slice(start, start + _BATCH)
        loss, correct = model.score(
            input_ids[part].to(device), labels[part].to(device), blocks.attention_mask[part].long().to(device)
        )
        losses.append(loss.cpu())
        hits.append(correct.cpu())
    loss, correct = torch.cat(losses).double(), torch.cat(hits).double()
    by_section = {}
    if blocks.section_ids is not None:
        sections = blocks.section_ids[labels != IGNORE]
        by_section = {
            name: _scores(loss[sections == index], correct[sections == index])
            for index, name in enumerate(SECTION_NAMES)
            if (sections == index).any()
        }
    return TextScores(**dict(_scores(loss, correct)), sections=by_section)


def _scores(loss: torch.Tensor, correct: torch.Tensor) -> MlmScores:
    mean = loss.mean().item() if len(loss) else 0.0
    return MlmScores(
        accuracy=correct.mean().item() if len(loss) else 0.0,
        loss=mean,
        perplexity=math.exp(min(mean, 50.0)),
        masked=len(loss),
    )


def token_counts(blocks: BlockSource, vocab_size: int) -> torch.Tensor:
    """How often each token id occurs in `blocks` [vocab_size]."""
    counts = np.zeros(vocab_size, np.int64)
    for ids in blocks.streams():
        counts += np.bincount(ids, minlength=vocab_size)
    return torch.from_numpy(counts)
