"""What a family's code does not stand is told, or computed in fp32."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from trialtune.errors import UsageError
from trialtune.models import precision
from trialtune.models.precision import AutocastModel, types_explained

IDS = torch.arange(5, 29).reshape(2, 12)


@pytest.fixture
def deberta(small_config):
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(small_config("deberta")).eval()


def test_a_family_that_does_not_stand_bf16_is_scored_in_fp32(deberta, monkeypatch, caplog) -> None:
    native = lambda given, device: torch.bfloat16 if given != "fp32" else None  # noqa: E731
    monkeypatch.setattr(precision, "autocast_type", native)
    with torch.no_grad():
        expected = deberta(input_ids=IDS).logits
    model = AutocastModel(deberta, "auto")
    with model.cached():
        for _ in range(2):
            assert torch.equal(model(input_ids=IDS).logits, expected)
    assert caplog.text.count("'deberta' models do not support bf16; using fp32") == 1


def test_bf16_that_was_asked_for_is_refused_in_words(deberta) -> None:
    with pytest.raises(UsageError, match=r"'deberta' models do not support bf16 .*precision fp32"):
        AutocastModel(deberta, "bf16")(input_ids=IDS)


def test_other_failures_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="out of memory"), types_explained("bert"):
        raise RuntimeError("out of memory")


def test_a_family_that_does_not_stand_bf16_at_some_lengths(small_config) -> None:
    sparse = {"attention_type": "block_sparse", "block_size": 4, "num_random_blocks": 1}
    model = AutoModelForSequenceClassification.from_config(small_config("big_bird", **sparse)).eval()
    scored, long = AutocastModel(model, "bf16"), torch.arange(100)[None] % 90 + 5
    with pytest.raises(UsageError, match=r"'big_bird' models do not support bf16 .*dtype"):
        scored(input_ids=long)
    assert scored(input_ids=IDS).logits.isfinite().all()  # a short text is read by full attention
