"""Masking for masked-language-model training, a pure function of its seed."""

from dataclasses import dataclass

import torch

IGNORE = -100  # the label of a position that is not scored, as in torch's cross entropy


@dataclass(frozen=True)
class Masker:
    """BERT's masking: of the chosen positions 80% become [MASK], 10% a random token, 10% stay.

    Source: Devlin et al. 2019, https://arxiv.org/abs/1810.04805, section 3.1.
    """

    mask_id: int
    vocab_size: int
    special_ids: tuple[int, ...]
    probability: float = 0.15

    def __call__(self, input_ids: torch.Tensor, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Mask `input_ids` [batch, length]; returns (masked ids, labels), both of that shape.

        Labels hold the original id at chosen positions and IGNORE elsewhere; special tokens are
        never chosen. The same ids and seed always give the same result.
        """
        generator = torch.Generator().manual_seed(seed)
        special = torch.isin(input_ids, torch.tensor(self.special_ids))
        chosen = (torch.rand(input_ids.shape, generator=generator) < self.probability) & ~special
        labels = torch.where(chosen, input_ids, IGNORE)
        kind = torch.rand(input_ids.shape, generator=generator)
        noise = torch.randint(self.vocab_size, input_ids.shape, generator=generator)
        masked = torch.where(chosen & (kind < 0.8), self.mask_id, input_ids)
        return torch.where(chosen & (kind >= 0.9), noise, masked), labels
