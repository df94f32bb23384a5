"""Batches hold every text once, within their budget of tokens."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from trialtune.inference.batches import token_batches

TEXTS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=40), max_size=30)


@given(TEXTS, st.integers(1, 120))
def test_every_text_is_in_one_batch_and_no_batch_is_too_large(encoded, tokens) -> None:
    found, count = {}, 0
    for rows, batch in token_batches(encoded, 0, tokens=tokens):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        count += len(rows)
        assert ids.shape == mask.shape and len(rows) == len(ids)
        assert ids.numel() <= tokens or len(rows) == 1
        assert torch.equal(mask, (ids != 0).long())
        found |= {row: ids[place][mask[place] == 1].tolist() for place, row in enumerate(rows)}
    assert count == len(encoded)
    assert [found[row] for row in range(len(encoded))] == encoded
