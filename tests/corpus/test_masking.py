"""Masks are a function of their seed and have BERT's proportions."""

from dataclasses import replace

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

from trialtune.corpus.masking import IGNORE, Masker

MASKER = Masker(mask_id=4, vocab_size=1000, special_ids=(0, 1, 2), probability=0.15)
IDS = torch.randint(5, 1000, (200, 128), generator=torch.Generator().manual_seed(1))


def test_same_seed_same_masks() -> None:
    for first, second in zip(MASKER(IDS, seed=7), MASKER(IDS, seed=7), strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(MASKER(IDS, seed=7)[0], MASKER(IDS, seed=8)[0])


def test_proportions() -> None:
    masked, labels = MASKER(IDS, seed=1)
    chosen = labels != IGNORE
    assert abs(chosen.float().mean().item() - 0.15) < 0.01
    assert torch.equal(labels[chosen], IDS[chosen])
    assert torch.equal(masked[~chosen], IDS[~chosen])
    assert abs((masked[chosen] == 4).float().mean().item() - 0.8) < 0.02
    assert abs((masked[chosen] == IDS[chosen]).float().mean().item() - 0.1) < 0.02


def test_special_tokens_are_never_masked() -> None:
    ids = IDS.clone()
    ids[:, 0], ids[:, -1] = 1, 2
    masked, labels = Masker(4, 1000, (0, 1, 2), probability=0.9)(ids, seed=3)
    assert (labels[:, [0, -1]] == IGNORE).all()
    assert torch.equal(masked[:, [0, -1]], ids[:, [0, -1]])


def test_whole_words_are_masked_together() -> None:
    continuing = tuple(range(500, 1000))
    masker = replace(MASKER, whole_word_mask=True, continuing_ids=continuing, probability=0.3)
    ids = IDS.clone()
    ids[:, [0, 64]] = 1  # special tokens end a word
    _, labels = masker(ids, seed=5)
    chosen = labels != IGNORE
    assert not chosen[:, [0, 64]].any()
    for row, hit in zip(ids.tolist(), chosen.tolist(), strict=True):
        for place in range(1, len(row)):
            if row[place] in continuing and row[place - 1] != 1:
                assert hit[place] == hit[place - 1]
    assert abs(chosen.float().mean().item() - 0.3) < 0.02
    assert torch.equal(chosen, masker(ids, seed=5)[1] != IGNORE)


def test_pieces_that_continue_a_word(tiny_tokenizer) -> None:
    masker = Masker.of(tiny_tokenizer)
    tokens = tiny_tokenizer.convert_ids_to_tokens(list(masker.continuing_ids))
    assert tokens
    assert all(token.startswith("##") for token in tokens)
    assert len(tokens) == sum(token.startswith("##") for token in tiny_tokenizer.get_vocab())


def test_pieces_of_byte_level_bpe() -> None:
    backend = ByteLevelBPETokenizer()
    backend.train_from_iterator(["the trial was stopped because recruitment was slow"] * 9, vocab_size=300)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend._tokenizer, mask_token="<mask>")
    tokenizer.add_special_tokens({"mask_token": "<mask>"})
    masker = replace(Masker.of(tokenizer), whole_word_mask=True, probability=0.5)
    ids = torch.tensor([tokenizer(" the trial was stopped because recruitment was slow")["input_ids"]])
    starts = [token.startswith("Ġ") for token in tokenizer.convert_ids_to_tokens(ids[0].tolist())]
    assert not all(starts)
    for seed in range(20):
        chosen = (masker(ids, seed=seed)[1] != IGNORE)[0].tolist()
        assert all(chosen[i] == chosen[i - 1] for i in range(1, len(chosen)) if not starts[i])
