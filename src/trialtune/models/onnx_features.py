"""A classifier's graph as a graph of features: what its layers make of a text, for a head to be put on."""

from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from trialtune.errors import DataError
from trialtune.models.onnx_signature import FEATURES, INPUTS, OUTPUT


def pooled_graph(source: Path, *, layers: int) -> ModelProto:
    """The graph `source` with `FEATURES` [batch, layers * hidden] in the place of its logits.

    They are the states behind each of the last `layers` layers, the last first, averaged over a text's
    tokens. Raises DataError when the graph does not end its layers by LayerNormalization, as BERT does.
    """
    model = onnx.load(source)
    graph = model.graph
    normalised = [node for node in graph.node if node.op_type == "LayerNormalization"]
    # One behind the embeddings, and two a layer: behind its attention, and at its end.
    if len(normalised) < 3 or len(normalised) % 2 == 0:
        raise DataError(
            f"{source}: its {len(normalised)} normalisations are not one and two a layer, as in BERT;"
            " give a classifier of that family"
        )
    states = [node.output[0] for node in normalised[:0:-2]][:layers]
    hidden = _size(graph, normalised[-1].input[1])
    graph.node.extend(_mask_nodes())
    means = [f"mean.{place}" for place in range(len(states))]
    for name, mean in zip(states, means, strict=True):
        graph.node.extend(_mean_nodes(name, mean))
    graph.node.append(helper.make_node("Concat", means, [FEATURES], axis=1))
    _give(model, FEATURES, len(states) * hidden)
    return _without_unused(model)


def with_head(features: ModelProto, weights: np.ndarray, bias: np.ndarray) -> ModelProto:
    """A graph of features with one linear layer behind: logits = features @ `weights` + `bias`.

    `weights` are [features, labels]. The result has a classifier's signature.
    """
    model = ModelProto()
    model.CopyFrom(features)
    graph = model.graph
    held = {"head.weight": weights.astype(np.float32), "head.bias": bias.astype(np.float32)}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in held.items())
    graph.node.append(helper.make_node("Gemm", [FEATURES, *held], [OUTPUT]))
    _give(model, OUTPUT, len(bias))
    return model


def features_width(model: ModelProto) -> int:
    """How many features a graph of features gives."""
    [output] = model.graph.output
    return int(output.type.tensor_type.shape.dim[1].dim_value)


def _size(graph: GraphProto, name: str) -> int:
    """Of a vector of weights; of several that are equal the exporter keeps one."""
    same = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    while name in same:
        name = same[name]
    return int(next(one.dims[0] for one in graph.initializer if one.name == name))


def _give(model: ModelProto, name: str, width: int) -> None:
    """Make `name` [batch, width] the one thing that the graph gives."""
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]))


def _without_unused(model: ModelProto) -> ModelProto:
    """The graph without what nothing reads any more."""
    graph, wanted, kept = model.graph, {one.name for one in model.graph.output}, []
    for node in reversed(graph.node):  # a graph's nodes stand in the order of their computation
        if wanted & {*node.output}:
            wanted |= {*node.input}
            kept.append(node)
    weights = [one for one in graph.initializer if one.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(weights)
    return model


def _mask_nodes() -> list[onnx.NodeProto]:
    """The tokens of each text as 1.0 [batch, 1, tokens], and their number [batch, 1]."""
    return [
        helper.make_node("Constant", [], ["mean.middle"], value_ints=[1]),
        helper.make_node("Cast", [INPUTS[1]], ["mean.mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mean.mask", "mean.middle"], ["mean.row"]),
        helper.make_node("ReduceSum", ["mean.mask", "mean.middle"], ["mean.count"], keepdims=1),
    ]


def _mean_nodes(states: str, out: str) -> list[onnx.NodeProto]:
    """States [batch, tokens, hidden] to their mean over the tokens that the mask counts [batch, hidden]."""
    return [
        helper.make_node("MatMul", ["mean.row", states], [f"{out}.sum"]),
        helper.make_node("Squeeze", [f"{out}.sum", "mean.middle"], [f"{out}.flat"]),
        helper.make_node("Div", [f"{out}.flat", "mean.count"], [out]),
    ]
