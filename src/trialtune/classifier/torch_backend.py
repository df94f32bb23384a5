"""A classifier's weights in PyTorch, on any device."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from trialtune.classifier.backends import Batches, Scores
from trialtune.classifier.predictor import Predictor
from trialtune.models.kernels import prepare_scoring
from trialtune.models.precision import AutocastModel
from trialtune.models.sequence_classifier import load_classifier


class TorchBackend:
    """A `transformers` model on its device."""

    workers = 1

    def __init__(self, model: PreTrainedModel, *, precision: str = "auto") -> None:
        self._model, self._device = AutocastModel(model, precision), model.device
        # A CPU is fastest on batches that fit its caches; an accelerator needs large ones.
        self.tokens = 2048 if model.device.type == "cpu" else 32_768

    def score(self, batches: Batches) -> Scores:
        # Torch's decorator for generators would cast the weights for each batch.
        with self._model.cached():
            for rows, batch in batches:
                inputs = {name: torch.from_numpy(value).to(self._device) for name, value in batch.items()}
                yield rows, self._model(**inputs).logits.float().cpu().numpy()


def open_weights(folder: Path, *, max_length: int, precision: str) -> Predictor:
    """A predictor of the weights in a classifier folder, on a GPU if available; raises DataError without."""
    model, tokenizer = load_classifier(folder)
    prepare_scoring(model, tokens=max_length)
    if torch.accelerator.is_available():
        model = model.to(torch.accelerator.current_accelerator())
    return predictor_of(model, tokenizer, max_length=max_length, precision=precision)


def predictor_of(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    max_length: int,
    precision: str = "auto",
) -> Predictor:
    """A predictor of a model in memory."""
    config = model.config
    return Predictor(
        TorchBackend(model, precision=precision),
        Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()),  # a copy, whose truncation is ours to set
        pad_id=tokenizer.pad_token_id,
        labels=[config.id2label[index] for index in range(config.num_labels)],
        kind="multi_label" if config.problem_type == "multi_label_classification" else "multi_class",
        max_length=max_length,
    )
