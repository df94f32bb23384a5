"""ONNX graphs of features: a frozen classifier's hidden states, or TF-IDF of its word pieces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from trialtune.errors import DataError
from trialtune.models.onnx_signature import FEATURES, INPUTS, OUTPUT
from trialtune.models.piece_weights import PieceWeights

_OPSET, _IR = 17, 8
_TINY = 1e-12  # keeps the length of a row of zeros above 0


class FeatureGraph:
    """A graph under construction, from `INPUTS` to features; `source` has the layers, if any."""

    def __init__(self, source: Path | None) -> None:
        """Raises DataError when the graph in `source` does not have BERT's layers."""
        self._model = onnx.load(source) if source else _empty()
        self._parts: list[str] = []
        self.width = 0
        self._states: list[str] = []
        if source:
            normalised = [node for node in self._graph.node if node.op_type == "LayerNormalization"]
            # One after the embeddings, and two per layer: after its attention, and at its end.
            if len(normalised) < 3 or len(normalised) % 2 == 0:
                raise DataError(
                    f"{source}: its {len(normalised)} normalisations are not one plus two per layer, as in"
                    " BERT; use a BERT classifier"
                )
            self._states = [node.output[0] for node in normalised[::2]]
            self._hidden = _size(self._graph, normalised[-1].input[1])

    @property
    def depth(self) -> int:
        """The number of layers; hidden states are numbered from 0, the embeddings, to this."""
        return len(self._states) - 1

    def add_states(self, layers: Sequence[int]) -> None:
        """The hidden states after `layers`, each averaged over a text's tokens [batch, hidden]."""
        self._node("Constant", [], "mean.middle", value_ints=[1])
        self._node("Cast", [INPUTS[1]], "mean.mask", to=TensorProto.FLOAT)
        self._node("Unsqueeze", ["mean.mask", "mean.middle"], "mean.row")
        self._node("ReduceSum", ["mean.mask", "mean.middle"], "mean.count", keepdims=1)
        for layer in layers:
            mean = f"mean.{layer}"
            self._node("MatMul", ["mean.row", self._states[layer]], f"{mean}.sum")
            self._node("Squeeze", [f"{mean}.sum", "mean.middle"], f"{mean}.flat")
            self._node("Div", [f"{mean}.flat", "mean.count"], mean)
            self._parts.append(mean)
            self.width += self._hidden

    def add_pieces(self, weights: PieceWeights) -> None:
        """TF-IDF of word pieces [batch, n-grams], as `PieceWeights.transform` returns it.

        Padding must be in none of the n-grams.
        """
        longest = max(map(len, weights.ngrams))
        by_length = [[gram for gram in weights.ngrams if len(gram) == size] for size in range(1, longest + 1)]
        starts = np.cumsum([0, *(len(part) * size for size, part in enumerate(by_length[:-1], start=1))])
        self._node(
            "TfIdfVectorizer",
            [INPUTS[0]],
            "pieces.count",
            mode="TF",
            min_gram_length=1,
            max_gram_length=longest,
            max_skip_count=0,
            ngram_counts=starts.tolist(),
            ngram_indexes=list(range(len(weights.ngrams))),
            pool_int64s=[piece for part in by_length for gram in part for piece in gram],
        )
        one, idf, tiny = (
            self._constant(f"pieces.{name}", value)
            for name, value in (("one", 1.0), ("idf", weights.idf), ("tiny", _TINY))
        )
        # 1 + log(count) where a piece occurs, else 0
        self._node("Max", ["pieces.count", one], "pieces.least")
        self._node("Log", ["pieces.least"], "pieces.log")
        self._node("Min", ["pieces.count", one], "pieces.there")
        self._node("Add", ["pieces.log", "pieces.there"], "pieces.damped")
        self._node("Mul", ["pieces.damped", idf], "pieces.weighted")
        self._node("ReduceL2", ["pieces.weighted"], "pieces.length", axes=[1], keepdims=1)
        self._node("Max", ["pieces.length", tiny], "pieces.divisor")
        self._node("Div", ["pieces.weighted", "pieces.divisor"], "pieces")
        self._parts.append("pieces")
        self.width += len(weights.ngrams)

    def features(self) -> ModelProto:
        """The graph that outputs `FEATURES` [batch, width]: all features added, concatenated."""
        model = self._joined()
        _give(model, FEATURES, self.width)
        return _without_unused(model)

    def classifier(self, weights: np.ndarray, bias: np.ndarray) -> ModelProto:
        """The graph of a classifier: logits = features @ `weights` [width, labels] + `bias`."""
        model = self._joined()
        held = {"head.weight": weights.astype(np.float32), "head.bias": bias.astype(np.float32)}
        model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in held.items())
        for node in model.graph.node:  # the name of the logits is taken by the old ones
            node.output[:] = [f"{name}.before" if name == OUTPUT else name for name in node.output]
        model.graph.node.append(helper.make_node("Gemm", [FEATURES, *held], [OUTPUT]))
        _give(model, OUTPUT, len(bias))
        return _without_unused(model)

    @property
    def _graph(self) -> GraphProto:
        return self._model.graph

    def _joined(self) -> ModelProto:
        model = ModelProto()
        model.CopyFrom(self._model)
        model.graph.node.append(helper.make_node("Concat", self._parts, [FEATURES], axis=1))
        return model

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        self._graph.node.append(helper.make_node(kind, inputs, [output], **attributes))

    def _constant(self, name: str, value: float | np.ndarray) -> str:
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=np.float32), name))
        return name


def _empty() -> ModelProto:
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in INPUTS]
    graph = helper.make_graph([], "features", inputs, [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)


def _size(graph: GraphProto, name: str) -> int:
    """Of a vector of weights; the exporter merges equal ones."""
    same = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    while name in same:
        name = same[name]
    return int(next(one.dims[0] for one in graph.initializer if one.name == name))


def _give(model: ModelProto, name: str, width: int) -> None:
    """Make `name` [batch, width] the only output of the graph."""
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]))


def _without_unused(model: ModelProto) -> ModelProto:
    """The graph without unused nodes and constants."""
    graph = model.graph
    wanted = {one.name for one in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):  # a graph's nodes are in topological order
        if wanted & {*node.output}:
            wanted |= {*node.input}
            kept.append(node)
    held = [one for one in graph.initializer if one.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(held)
    return model
