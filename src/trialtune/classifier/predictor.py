"""Score texts with a classifier: each distinct text once, in batches of like length."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from trialtune.classifier.backends import GRAPH_FILE, Backend, OnnxBackend, TorchBackend
from trialtune.classifier.windows import Windows, token_batches
from trialtune.models.encoders import load_config, load_tokenizer
from trialtune.models.kernels import prepare_scoring
from trialtune.models.sequence_classifier import load_classifier, to_probabilities

_LEAST_TOKENS = 256  # of a batch: below, starting it costs more than computing it


class Predictor:
    """A classifier ready to score texts; `labels` gives the order of the probabilities."""

    def __init__(
        self,
        backend: Backend,
        config: PretrainedConfig,
        tokenizer: PreTrainedTokenizerFast,
        *,
        max_length: int,
    ) -> None:
        self.backend, self.tokenizer, self.max_length = backend, tokenizer, max_length
        self.labels = [config.id2label[index] for index in range(config.num_labels)]
        self.kind = "multi_label" if config.problem_type == "multi_label_classification" else "multi_class"

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        max_length: int,
        precision: str = "auto",
    ) -> "Predictor":
        """A predictor of a model in memory."""
        return cls(TorchBackend(model, precision=precision), model.config, tokenizer, max_length=max_length)

    @classmethod
    def load(cls, folder: Path, *, max_length: int, precision: str = "auto") -> "Predictor":
        """Open a classifier folder: an ONNX graph by onnxruntime, weights by PyTorch, on a GPU if there.

        Raises DataError when it is not one or damaged, UsageError when onnxruntime is missing.
        """
        if (folder / GRAPH_FILE).is_file():
            config = load_config(str(folder))
            backend = OnnxBackend(folder / GRAPH_FILE, labels=config.num_labels)
            return cls(backend, config, load_tokenizer(str(folder)), max_length=max_length)
        model, tokenizer = load_classifier(folder)
        prepare_scoring(model, tokens=max_length)
        if torch.accelerator.is_available():
            model = model.to(torch.accelerator.current_accelerator())
        return cls.of(model, tokenizer, max_length=max_length, precision=precision)

    def probabilities(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Probabilities [texts, labels]; sigmoid for multi-label, softmax for multi-class.

        A text of more than `max_length` tokens is read in windows: see `Windows.join`. `progress`
        takes numbers of texts that are done.
        """
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        order = np.array([places[text] for text in texts], dtype=np.int64)
        windows = Windows.of(list(places), self.tokenizer, max_length=self.max_length)
        logits = np.empty((len(windows.distinct), len(self.labels)), dtype=np.float32)
        ends = windows.ends(np.bincount(order))
        batches = token_batches(windows.distinct, self.tokenizer.pad_token_id, tokens=self._tokens(windows))
        for rows, scored in self.backend.score(batches):
            logits[rows] = scored
            if progress:
                progress(int(ends[rows].sum()))
        joined = torch.from_numpy(windows.join(logits, kind=self.kind))
        scores: np.ndarray = to_probabilities(joined, self.kind).numpy()
        return scores[order]

    def _tokens(self, windows: Windows) -> int:
        """Tokens a batch, so that a few texts give every worker something to do."""
        all_tokens = sum(map(len, windows.distinct))
        return max(_LEAST_TOKENS, min(self.backend.tokens, -(-all_tokens // self.backend.workers)))
