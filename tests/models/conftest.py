"""A tiny masked language model of every family, and a batch to put through it."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    XLMRobertaConfig,
)

from trialtune.corpus.masking import Masker

SHAPE = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "pad_token_id": 0,
}
CONFIGS = [
    BertConfig(**SHAPE),
    RobertaConfig(**SHAPE),
    XLMRobertaConfig(**SHAPE),
    DistilBertConfig(vocab_size=99, dim=32, n_layers=2, n_heads=2, hidden_dim=48, pad_token_id=0),
    ElectraConfig(**SHAPE, embedding_size=16),
    ModernBertConfig(**SHAPE, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2),
]


class MaskedBatch(NamedTuple):
    """What a masked language model is given; the last row is padded."""

    input_ids: torch.Tensor
    labels: torch.Tensor
    attention_mask: torch.Tensor


@pytest.fixture
def shape() -> dict[str, int]:
    """What makes a configuration small."""
    return dict(SHAPE)


@pytest.fixture(params=CONFIGS, ids=lambda config: config.model_type)
def config(request: pytest.FixtureRequest) -> PretrainedConfig:
    return request.param


@pytest.fixture(scope="session")
def build() -> Callable[..., PreTrainedModel]:
    """A model of a configuration, by default a BERT, with the same random weights each time."""

    def make(config: PretrainedConfig = CONFIGS[0], attention: str = "eager") -> PreTrainedModel:
        torch.manual_seed(0)
        return AutoModelForMaskedLM.from_config(config, attn_implementation=attention).eval()

    return make


@pytest.fixture(scope="session")
def batch() -> MaskedBatch:
    ids = torch.randint(5, 99, (4, 24), generator=torch.Generator().manual_seed(1))
    attention = torch.ones_like(ids)
    ids[3, 16:], attention[3, 16:] = 0, 0
    masked, labels = Masker(4, 99, (0, 1, 2, 3, 4), probability=0.3)(ids, seed=2)
    return MaskedBatch(masked, labels, attention)
