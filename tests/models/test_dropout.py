"""Cheap dropout drops as torch's does: as often, evenly, and by the seed."""

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from trialtune.models.dropout import CheapDropout, cheapen_dropout


def dropped(p: float, *shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(seed)
    return CheapDropout(p)(torch.ones(shape, dtype=dtype))


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
def test_it_drops_as_often_as_asked_and_keeps_the_mean(p) -> None:
    values = dropped(p, 1000, 1001)
    share = (values == 0).float()
    assert share.mean() == pytest.approx(p, abs=0.002)
    assert values.mean() == pytest.approx(1, abs=0.01)
    assert len(values.unique()) == 2 and values.max() == pytest.approx(1 / (1 - p), rel=1e-3)
    for lag in (1, 2, 3, 4):  # neighbours share a draw of the generator
        both = (share[:, lag:] * share[:, :-lag]).mean()
        assert both == pytest.approx(p * p, abs=0.003)


def test_the_seed_decides() -> None:
    assert torch.equal(dropped(0.1, 7, 9), dropped(0.1, 7, 9))
    assert not torch.equal(dropped(0.1, 7, 9), dropped(0.1, 7, 9, seed=1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_gradients_are_those_of_what_was_kept(dtype) -> None:
    torch.manual_seed(0)
    values = torch.randn(5, 6, dtype=dtype, requires_grad=True)
    out = CheapDropout(0.3)(values)
    out.sum().backward()
    assert out.dtype == dtype
    assert torch.equal(values.grad == 0, out == 0)
    assert torch.allclose(values.grad * values.detach(), out.detach())


def test_nothing_is_dropped_in_evaluation_or_at_zero() -> None:
    values = torch.randn(4, 5)
    assert torch.equal(CheapDropout(0.5).eval()(values), values)
    assert torch.equal(CheapDropout(0.0)(values), values)
    assert not CheapDropout(1.0)(values).any()


def test_a_model_s_layers_are_replaced_as_they_are(tiny_encoder) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_encoder).eval()
    ids = torch.arange(10, 20)[None]
    before = model(input_ids=ids).logits
    rates = [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)]
    cheapen_dropout(model)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert [layer.p for layer in layers] == rates
    assert all(type(layer) is CheapDropout and not layer.training for layer in layers)
    assert torch.equal(model(input_ids=ids).logits, before)
    model.train()
    torch.manual_seed(1)
    first = model(input_ids=ids).logits
    torch.manual_seed(1)
    assert torch.equal(model(input_ids=ids).logits, first)
    assert not torch.equal(model(input_ids=ids).logits, first)
