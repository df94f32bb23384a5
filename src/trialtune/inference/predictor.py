"""Score texts with a classifier: each distinct text once, in batches of like length."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from trialtune.models.classifier import load_classifier, to_probabilities
from trialtune.models.speed import prepare_scoring
from trialtune.training.batching import pad
from trialtune.training.settings import autocast_type

# A CPU computes fastest on what its caches hold; an accelerator wants enough to do.
_TOKENS_A_BATCH_CPU, _TOKENS_A_BATCH = 2048, 32_768


class Predictor:
    """A classifier ready to score texts; `labels` gives the order of the probabilities."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        max_length: int,
        precision: str = "auto",
    ) -> None:
        self.model, self.tokenizer, self.max_length = model.eval(), tokenizer, max_length
        self.labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
        multi_label = model.config.problem_type == "multi_label_classification"
        self.kind = "multi_label" if multi_label else "multi_class"
        self.precision = autocast_type(precision, model.device)

    @classmethod
    def load(cls, folder: Path, *, max_length: int, precision: str = "auto") -> "Predictor":
        """Open a classifier folder; raises DataError when it is not one."""
        model, tokenizer = load_classifier(folder)
        prepare_scoring(model, tokens=max_length)
        return cls(model, tokenizer, max_length=max_length, precision=precision)

    @torch.inference_mode()
    def probabilities(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Probabilities [texts, labels]; sigmoid for multi-label, softmax for multi-class."""
        distinct = list(dict.fromkeys(texts))
        encoded = encode(distinct, self.tokenizer, max_length=self.max_length)
        order = sorted(range(len(distinct)), key=lambda index: -len(encoded[index]))
        scores = np.empty((len(distinct), len(self.labels)), dtype=np.float32)
        device = self.model.device.type
        tokens = _TOKENS_A_BATCH_CPU if device == "cpu" else _TOKENS_A_BATCH
        start = 0
        # One context for all batches, so that the weights are cast once.
        with torch.autocast(device, dtype=self.precision, enabled=self.precision is not None):
            while start < len(order):
                rows = order[start : start + max(1, tokens // len(encoded[order[start]]))]
                scores[rows] = self._score([encoded[row] for row in rows])
                start += len(rows)
                if progress:
                    progress(len(rows))
        place = {text: index for index, text in enumerate(distinct)}
        return scores[[place[text] for text in texts]]

    def _score(self, encoded: list[list[int]]) -> np.ndarray:
        device = self.model.device
        batch = {name: value.to(device) for name, value in pad(encoded, self.tokenizer.pad_token_id).items()}
        logits = self.model(**batch).logits.float()
        scores: np.ndarray = to_probabilities(logits, self.kind).cpu().numpy()
        return scores


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, *, max_length: int) -> list[list[int]]:
    """Token ids of each text with special tokens, cut to `max_length`."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
    ids: list[list[int]] = encoded["input_ids"]
    return ids
