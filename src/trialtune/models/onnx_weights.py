"""The weights of a classifier's graph by their `transformers` names, 8-bit ones as floats."""

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

_PREFIX = "model."  # of the module that the graph was traced from


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The weights, float32, of a graph that `write_graph` or `quantize` wrote for a BERT classifier.

    Weights in 8 bits are dequantised as in computation: within half a step, 1/126 of the largest of a
    channel, of the original. The exporter names a linear layer's bias but not its weight, which is found
    by the bias added after it.
    """
    graph = onnx.load(path).graph
    held = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    named = {name.removeprefix(_PREFIX): value for name, value in held.items() if name.startswith(_PREFIX)}
    found = {name: value for name, value in named.items() if not name.endswith((".int8", ".scale"))}
    for name, value in named.items():
        if name.endswith(".int8"):  # the vocabulary
            plain = name.removesuffix(".int8")
            found[plain] = value * named[f"{plain}.scale"]
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in graph.node:
        if node.op_type in ("MatMul", "MatMulIntegerToFloat") and node.input[1] in held:
            weight = held[node.input[1]]
            if node.op_type == "MatMulIntegerToFloat":
                weight = weight * held[node.input[3]]
            found[_bias_behind(node, readers, held).removesuffix("bias") + "weight"] = weight.T
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in found.items()}


def _bias_behind(node: NodeProto, readers: dict[str, list[NodeProto]], held: dict[str, np.ndarray]) -> str:
    while True:
        [node] = [one for one in readers[node.output[0]] if one.op_type in ("Mul", "Reshape", "Add")]
        for name in node.input:
            if node.op_type == "Add" and name in held and name.endswith(".bias"):
                return str(name).removeprefix(_PREFIX)
