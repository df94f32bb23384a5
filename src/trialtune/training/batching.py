"""Batches as pure functions of the step: masked blocks, and texts grouped by length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from trialtune.corpus.blocks import BlockSource
from trialtune.corpus.masking import IGNORE, Masker
from trialtune.models.padding import pad
from trialtune.training.seeds import step_seed

# Texts are sorted by length inside windows of this many batches: little padding, order still random.
# group_by_length of transformers does the same, but orders each window from long to short, and a
# sampler yields batches sequentially, while a resumed run needs random access to any step's.
_WINDOW = 50


@lru_cache(maxsize=4)
def permutation(count: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of `count` items in one pass, the same for the same seed and epoch."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(step_seed(seed, epoch)))


@dataclass(frozen=True)
class MaskedBatches:
    """Masked blocks in random order; every pass has its own order, every step its own masks."""

    blocks: BlockSource
    masker: Masker
    batch_size: int
    seed: int

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        """`input_ids`, `labels` and `attention_mask` of a step, each [batch_size, block_size]."""
        count, chosen = len(self.blocks), []
        for position in range(step * self.batch_size, (step + 1) * self.batch_size):
            epoch, offset = divmod(position, count)
            chosen.append(permutation(count, self.seed, epoch)[offset])
        blocks = self.blocks[torch.stack(chosen)]
        input_ids, labels = self.masker(blocks.input_ids.long(), seed=step_seed(self.seed, step))
        attention_mask = blocks.attention_mask.long()
        return {"input_ids": input_ids, "labels": labels, "attention_mask": attention_mask}

    def scored(self, batch: Mapping[str, torch.Tensor]) -> int:
        return int((batch["labels"] != IGNORE).sum())

    def epoch(self, step: int) -> float:
        return step * self.batch_size / len(self.blocks)


@dataclass(frozen=True)
class TextBatches:
    """Labelled texts, batched by similar length and padded to the longest only."""

    input_ids: Sequence[Sequence[int]]
    targets: torch.Tensor  # [texts, labels], 0/1 or teachers' probabilities
    batch_size: int
    pad_id: int
    seed: int

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask` [batch, longest], `labels` of one step."""
        epoch, index = divmod(step, self.per_epoch)
        rows = self._rows(epoch)[index]
        return {**pad([self.input_ids[row] for row in rows], self.pad_id), "labels": self.targets[rows]}

    @property
    def per_epoch(self) -> int:
        """Steps of one pass over the texts."""
        return -(-len(self.input_ids) // self.batch_size)

    def scored(self, batch: Mapping[str, torch.Tensor]) -> int:
        return len(batch["labels"])

    def epoch(self, step: int) -> float:
        return step / self.per_epoch

    def _rows(self, epoch: int) -> list[list[int]]:
        order = permutation(len(self.input_ids), self.seed, epoch).tolist()
        window = _WINDOW * self.batch_size
        by_length = [
            row
            for start in range(0, len(order), window)
            for row in sorted(order[start : start + window], key=lambda row: len(self.input_ids[row]))
        ]
        batches = [by_length[i : i + self.batch_size] for i in range(0, len(by_length), self.batch_size)]
        return [batches[i] for i in permutation(len(batches), self.seed + 1, epoch).tolist()]
