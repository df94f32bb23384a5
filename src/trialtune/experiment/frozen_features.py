"""Texts as vectors: a frozen encoder's mean-pooled hidden states."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel

from trialtune.classifier.windows import token_batches
from trialtune.models.adapters import merge_adapter
from trialtune.models.encoders import Encoder
from trialtune.models.precision import AutocastModel
from trialtune.models.tokens import encode

_TOKENS_A_BATCH = 4096


@torch.inference_mode()
def mean_pooled(
    texts: Sequence[str], encoder: Encoder, adapter: Path | None, *, max_length: int, precision: str = "auto"
) -> np.ndarray:
    """The mean of the encoder's last hidden states over a text's tokens, float32 [texts, hidden].

    `adapter` is merged in first; texts are truncated to `max_length` tokens. Raises as loading does.
    """
    model, tokenizer = encoder.load(AutoModel), encoder.tokenizer
    model = merge_adapter(model, adapter) if adapter else model
    computed = AutocastModel(model, precision)
    encoded = encode(texts, tokenizer, max_length=max_length)
    vectors = np.empty((len(encoded), model.config.hidden_size), dtype=np.float32)
    for rows, arrays in token_batches(encoded, tokenizer.pad_token_id, tokens=_TOKENS_A_BATCH):
        batch = {name: torch.from_numpy(values) for name, values in arrays.items()}
        states = computed(**batch).last_hidden_state.float()
        mask = batch["attention_mask"][:, :, None].float()
        vectors[rows] = ((states * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
    return vectors
