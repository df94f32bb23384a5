"""Score texts with a classifier: each distinct text once, in batches of like length."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from trialtune.inference.batches import encode, token_batches
from trialtune.models.classifier import load_classifier, to_probabilities
from trialtune.models.speed import prepare_scoring
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
        scores = np.empty((len(distinct), len(self.labels)), dtype=np.float32)
        device = self.model.device
        tokens = _TOKENS_A_BATCH_CPU if device.type == "cpu" else _TOKENS_A_BATCH
        # One context for all batches, so that the weights are cast once.
        with torch.autocast(device.type, dtype=self.precision, enabled=self.precision is not None):
            for rows, batch in token_batches(encoded, self.tokenizer.pad_token_id, tokens=tokens):
                inputs = {name: value.to(device) for name, value in batch.items()}
                logits = self.model(**inputs).logits.float()
                scores[rows] = to_probabilities(logits, self.kind).cpu().numpy()
                if progress:
                    progress(len(rows))
        place = {text: index for index, text in enumerate(distinct)}
        return scores[[place[text] for text in texts]]
