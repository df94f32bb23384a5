"""Linear classifiers on a frozen graph: read-outs of its layers, TF-IDF of word pieces, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from trialtune.classifier.frozen_features import FrozenFeatures
from trialtune.classifier.windows import Windows, cut_into_windows
from trialtune.evaluation.decision import to_probabilities
from trialtune.evaluation.read_out import ReadOut, fit_read_outs
from trialtune.models.onnx_features import FeatureGraph
from trialtune.models.piece_weights import PieceWeights


@dataclass(frozen=True)
class Foundation:
    """The foundation of linear classifiers: a tokenizer, and optionally a graph with hidden layers."""

    name: str
    folder: Path  # of the tokenizer's files
    tokenizer: Tokenizer
    pad_id: int
    positions: int  # maximum tokens of a window
    graph: Path

    @cached_property
    def depth(self) -> int:
        """The number of layers of the graph."""
        return FeatureGraph(self.graph).depth


@dataclass(frozen=True)
class Inputs:
    """The features of a linear classifier: hidden states of some layers, word-piece n-grams, or both."""

    name: str
    layers: Sequence[int] = ()  # 0: the embeddings
    longest: int = 0  # of an n-gram; 0 for none


@dataclass(frozen=True)
class Material:
    """Texts encoded by a foundation, once for all candidate classifiers."""

    foundation: Foundation
    max_length: int  # tokens of a window
    windows: Windows
    shares: csr_array  # [texts, distinct windows]: each window's share of a text
    states: dict[int, np.ndarray]  # layer -> [distinct windows, hidden]

    @classmethod
    def of(
        cls, foundation: Foundation, texts: Sequence[str], inputs: Sequence[Inputs], *, max_length: int
    ) -> "Material":
        """Split `texts` into windows of `max_length` tokens, and compute the layers that `inputs` need."""
        wanted = sorted({layer for one in inputs for layer in one.layers})
        if not wanted:
            windows = Windows.of(texts, cut_into_windows(foundation.tokenizer, max_length))
            return cls(foundation, max_length, windows, _shares(windows), {})
        graph = FeatureGraph(foundation.graph)
        graph.add_states(wanted)
        features = FrozenFeatures(graph.features(), foundation.tokenizer, foundation.pad_id, max_length)
        windows = features.predictor.windows(texts)
        table = features.predictor.scores(windows, ends=windows.ends(np.ones(len(texts))))
        parts = np.split(table, len(wanted), axis=1)
        states = dict(zip(wanted, parts, strict=True))
        return cls(foundation, max_length, windows, _shares(windows), states)

    def fit(
        self, inputs: Inputs, rows: np.ndarray, gold: np.ndarray, *, kind: str, strengths: Sequence[float]
    ) -> "list[LinearClassifier]":
        """A classifier for each of `strengths`, trained on the texts `rows` with `gold` [rows, labels]."""
        pieces, shares = None, self.shares[rows]
        if inputs.longest:
            used = np.unique(shares.indices)
            pieces = PieceWeights.fit([self.windows.distinct[one] for one in used], longest=inputs.longest)
        made = LinearClassifier(self, inputs, pieces)
        blocks = [shares @ block for block in made.blocks()]
        return [
            LinearClassifier(self, inputs, pieces, read_out)
            for read_out in fit_read_outs(blocks, gold, kind=kind, strengths=strengths)
        ]


@dataclass(frozen=True)
class LinearClassifier:
    """A linear layer on a foundation's features."""

    material: Material
    inputs: Inputs
    pieces: PieceWeights | None
    read_out: ReadOut | None = None

    def blocks(self) -> list[Any]:
        """The features of each distinct window, in blocks [windows, any]."""
        found: list[Any] = []
        if self.inputs.layers:
            states = self.material.states
            found.append(np.hstack([states[layer] for layer in self.inputs.layers]))
        if self.pieces:
            found.append(self.pieces.transform(self.material.windows.distinct))
        return found

    def probabilities(self) -> np.ndarray:
        """Its probabilities for every text of the material [texts, labels], computed as by a predictor."""
        assert self.read_out is not None
        blocks = self.blocks()
        widths = np.cumsum([block.shape[1] for block in blocks])[:-1]
        weights = np.split(self.read_out.weights, widths)
        logits = sum(block @ part for block, part in zip(blocks, weights, strict=True)) + self.read_out.bias
        return to_probabilities(
            self.material.windows.join(logits, kind=self.read_out.kind), self.read_out.kind
        )

    def graph(self, shift: np.ndarray | float = 0.0) -> ModelProto:
        """Its graph with a classifier's signature, with `shift` [labels] added to the bias."""
        assert self.read_out is not None
        graph = FeatureGraph(self.material.foundation.graph)
        if self.inputs.layers:
            graph.add_states(self.inputs.layers)
        if self.pieces:
            graph.add_pieces(self.pieces)
        return graph.classifier(self.read_out.weights, self.read_out.bias + shift)


def _shares(windows: Windows) -> csr_array:
    """All tokens of a text have equal weight, as in `Windows.join` for classes."""
    lengths = np.array([len(ids) for ids in windows.distinct], dtype=float)[windows.used]
    ends = np.append(windows.starts, len(windows.used))
    totals = np.add.reduceat(lengths, windows.starts)
    shares = lengths / np.repeat(totals, np.diff(ends))
    shape = (len(windows.starts), len(windows.distinct))
    table = csr_array((shares, windows.used, ends), shape=shape)
    table.sum_duplicates()
    return table
