"""Masks are a function of their seed and have BERT's proportions."""

import torch

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
