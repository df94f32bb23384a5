"""Masking for masked-language-model training, a pure function of its seed."""

import json
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

# How byte-level BPE (RoBERTa, ModernBERT) and SentencePiece write the blank that begins a word.
_WORD_STARTS = ("Ġ", "Ċ", "▁")
IGNORE = -100  # the label of a position that is not scored, as in torch's cross entropy


@dataclass(frozen=True)
class Masker:
    """BERT's masking: of the chosen positions 80% become [MASK], 10% a random token, 10% stay.

    Sources: Devlin et al. 2019, https://arxiv.org/abs/1810.04805, section 3.1; for
    whole words the note of May 31st 2019 in https://github.com/google-research/bert.
    """

    mask_id: int
    vocab_size: int
    special_ids: tuple[int, ...]
    probability: float = 0.15
    whole_word_mask: bool = False  # choose words, each with all its pieces, instead of tokens
    continuing_ids: tuple[int, ...] = ()  # tokens that continue a word

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast) -> "Masker":
        """The masker of a tokeniser's vocabulary."""
        return cls(
            tokenizer.mask_token_id,
            len(tokenizer),
            tuple(tokenizer.all_special_ids),
            continuing_ids=_continuing(tokenizer),
        )

    def __call__(self, input_ids: torch.Tensor, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Mask `input_ids` [batch, length]; returns (masked ids, labels), both of that shape.

        Labels hold the original id at chosen positions and IGNORE elsewhere; special tokens are
        never chosen. The same ids and seed always give the same result.
        """
        generator = torch.Generator().manual_seed(seed)
        special = torch.isin(input_ids, torch.tensor(self.special_ids))
        draws = torch.rand(input_ids.shape, generator=generator)
        if self.whole_word_mask:  # all pieces of a word share the draw of the first
            starts = special | ~torch.isin(input_ids, torch.tensor(self.continuing_ids))
            places = torch.arange(input_ids.shape[1]).expand_as(input_ids)
            draws = draws.gather(1, torch.where(starts, places, 0).cummax(dim=1).values)
        chosen = (draws < self.probability) & ~special
        labels = torch.where(chosen, input_ids, IGNORE)
        kind = torch.rand(input_ids.shape, generator=generator)
        noise = torch.randint(self.vocab_size, input_ids.shape, generator=generator)
        masked = torch.where(chosen & (kind < 0.8), self.mask_id, input_ids)
        return torch.where(chosen & (kind >= 0.9), noise, masked), labels


def _continuing(tokenizer: PreTrainedTokenizerFast) -> tuple[int, ...]:
    """Ids of the tokens that continue a word, by the convention of the tokeniser's model."""
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    prefix = model.get("continuing_subword_prefix")
    special = set(tokenizer.all_special_ids)
    return tuple(
        index
        for token, index in tokenizer.get_vocab().items()
        if index not in special
        and (token.startswith(prefix) if prefix else not token.startswith(_WORD_STARTS))
    )
