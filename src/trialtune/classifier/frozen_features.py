"""Texts as vectors: the hidden states of a frozen classifier's layers, by onnxruntime."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from onnx import ModelProto
from tokenizers import Tokenizer

from trialtune.classifier.folder import GRAPH_FILE
from trialtune.classifier.named import open_folder
from trialtune.classifier.onnx_backend import OnnxBackend
from trialtune.classifier.predictor import Predictor
from trialtune.errors import DataError
from trialtune.models.onnx_features import FeatureGraph
from trialtune.models.onnx_signature import FEATURES


def all_depths(depth: int) -> list[int]:
    """The last two layers, the middle one and the embeddings: meaning and wording of a text."""
    return sorted({depth, max(depth - 1, 0), depth // 2, 0}, reverse=True)


def last_layers(depth: int) -> list[int]:
    """The last four layers."""
    return list(range(depth, max(depth - 4, -1), -1))


@dataclass(frozen=True)
class FrozenFeatures:
    """A frozen graph from tokens to features, and its tokenizer: the input of a linear layer.

    Examples:
        >>> features = FrozenFeatures.of_classifier("stop-reasons")
        >>> features.of(["Slow accrual, funding ended"]).shape
        (1, 1536)
    """

    graph: ModelProto  # `INPUTS` -> `FEATURES`
    tokenizer: Tokenizer
    pad_id: int
    max_length: int  # tokens of a window

    @classmethod
    def of_classifier(
        cls,
        name: str | Path = "stop-reasons",
        *,
        layers: Callable[[int], Sequence[int]] = all_depths,
        max_length: int | None = None,
    ) -> "FrozenFeatures":
        """The mean-pooled hidden states of some layers of a classifier in ONNX format.

        `layers` returns their numbers, 0 being the embeddings: see `all_depths`.

        `name` is as in `Classifier.from_pretrained`. Texts are split into windows of `max_length` tokens,
        by default as long as the classifier's. Raises DataError when it is not a classifier in ONNX format.
        """
        opened = open_folder(name)
        if not (opened.path / GRAPH_FILE).is_file():
            raise DataError(f"{name}: has no {GRAPH_FILE}; write one with `trialtune export --format onnx`")
        tokenizer, pad_id = opened.tokenizer()
        graph = FeatureGraph(opened.path / GRAPH_FILE)
        graph.add_states(layers(graph.depth))
        return cls(graph.features(), tokenizer, pad_id, max_length or opened.task.max_length)

    @property
    def width(self) -> int:
        """The number of features of a text."""
        [output] = self.graph.graph.output
        return int(output.type.tensor_type.shape.dim[1].dim_value)

    def of(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> np.ndarray:
        """The features, float32 [texts, width]; for a text of several windows the mean over all tokens.

        `progress` is called with numbers of finished texts.
        """
        windows = self.predictor.windows(texts)
        ends = windows.ends(np.ones(len(texts)))
        return windows.join(self.predictor.scores(windows, ends=ends, progress=progress), kind="multi_class")

    @cached_property
    def predictor(self) -> Predictor:
        """The backend that computes the features, window by window."""
        return Predictor(
            OnnxBackend(self.graph.SerializeToString(), labels=self.width, output=FEATURES),
            self.tokenizer,
            pad_id=self.pad_id,
            labels=[str(number) for number in range(self.width)],
            kind="multi_class",
            max_length=self.max_length,
        )
