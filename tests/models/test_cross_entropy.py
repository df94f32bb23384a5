"""Our cross entropy equals torch's in value and gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trialtune.models.cross_entropy import summed_cross_entropy


@given(st.integers(0, 100), st.integers(2, 50), st.floats(0.1, 50), st.integers(0, 99))
def test_equals_torch(rows: int, vocabulary: int, scale: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, vocabulary, generator=generator) * scale
    targets = torch.randint(vocabulary, (rows,), generator=generator)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = summed_cross_entropy(ours, targets)
    expected = nn.functional.cross_entropy(theirs, targets, reduction="sum")
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-4)
    (loss / 7).backward()
    (expected / 7).backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("vocabulary", [31, 30522])
def test_bf16_logits_are_worked_on_in_fp32(vocabulary: int) -> None:
    logits = torch.randn(70, vocabulary).bfloat16()
    targets = torch.randint(vocabulary, (70,))
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = summed_cross_entropy(ours, targets)
    expected = nn.functional.cross_entropy(theirs.float(), targets, reduction="sum")
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
