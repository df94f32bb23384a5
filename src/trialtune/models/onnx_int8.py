"""Linear layers of an ONNX graph in 8-bit integers, with a scale for every token and every channel."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

_LIMIT = 127  # of a signed 8-bit integer
# For weights in products: processors without VNNI add two products in 16 bits, which saturate beyond this.
# https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html (U8S8)
_WEIGHT_LIMIT = 63
_ZERO = 128  # the zero point of activations, which the kernels need unsigned
_VOCABULARY = 2_000  # minimum rows of an embedding table to quantise
_TINY = 1e-12  # keeps the scale of a row of zeros above 0
_MICROSOFT = "com.microsoft"  # onnxruntime's own operators


def quantize(source: Path, target: Path) -> int:
    """Write the graph `source` with its linear layers in int8; returns their number.

    Weights get a static scale per output channel; activations a dynamic one per token
    (token-wise dynamic quantisation: Yao et al., 2022, arXiv:2206.01861). Of the embeddings, the
    vocabulary's are stored in int8 with a scale per word piece; attention products, normalisation and
    the layers on the pooled text stay in fp32.

    onnxruntime's `quantize_dynamic` has one scale for all activations of a batch. It is as fast, but
    a text's logits then depend on the rest of the batch, and are two to four times as far from fp32's
    (`benchmarks/int8.py`).
    """
    graph = _Graph(onnx.load(source))
    nodes = list(graph.model.graph.node)
    del graph.model.graph.node[:]
    for node in nodes:
        if node.op_type == "MatMul" and graph.is_weight(node.input[1]):
            graph.add_linear(node)
        elif node.op_type == "Gather" and graph.is_vocabulary(node.input[0]):
            graph.add_lookup(node)
        else:
            graph.model.graph.node.append(node)
    graph.finish()
    onnx.save(graph.model, target)
    return graph.replaced


class _Graph:
    """A graph being rewritten. Names of its new values end in their role."""

    def __init__(self, model: ModelProto) -> None:
        self.model, self.replaced = model, 0
        self._weights = {one.name: one for one in model.graph.initializer if len(one.dims) == 2}
        self._constants: dict[str, np.ndarray] = {}
        self._quantised: set[str] = set()

    def is_weight(self, name: str) -> bool:
        return name in self._weights

    def add_linear(self, node: NodeProto) -> None:
        """x [..., inputs] times W [inputs, outputs]: int8 products, then the scales of row and channel."""
        (x, weight), y = node.input, node.output[0]
        values = numpy_helper.to_array(self._weights[weight])
        inputs, outputs = values.shape
        self._quantise_rows(x, inputs)
        scales = np.maximum(np.abs(values).max(axis=0), _TINY) / _WEIGHT_LIMIT
        whole = self._constant(f"{weight}.int8", np.round(values / scales).astype(np.int8))
        channel = self._constant(f"{weight}.scale", scales.astype(np.float32))
        one = self._constant("int8.one", np.float32(1))
        zero = self._constant("int8.zero", np.uint8(_ZERO))
        size = self._constant(f"int8.size.{outputs}", np.array([outputs]))
        self._add("MatMulIntegerToFloat", [f"{x}.int8", whole, one, channel, zero], f"{y}.products", own=True)
        self._add("Mul", [f"{y}.products", f"{x}.scale"], f"{y}.rows")
        self._add("Concat", [f"{x}.leading", size], f"{y}.shape", axis=0)
        self._add("Reshape", [f"{y}.rows", f"{y}.shape"], y)
        self.replaced += 1

    def is_vocabulary(self, name: str) -> bool:
        return name in self._weights and self._weights[name].dims[0] >= _VOCABULARY

    def add_lookup(self, node: NodeProto) -> None:
        """Rows of a table [pieces, width]: looked up in int8, then multiplied by each row's own scale."""
        (table, ids), y = node.input, node.output[0]
        values = numpy_helper.to_array(self._weights[table])
        scales = np.maximum(np.abs(values).max(axis=1, keepdims=True), _TINY) / _LIMIT
        whole = self._constant(f"{table}.int8", np.round(values / scales).astype(np.int8))
        scale = self._constant(f"{table}.scale", scales.astype(np.float32))
        self._add("Gather", [whole, ids], f"{y}.rows.int8")
        self._add("Cast", [f"{y}.rows.int8"], f"{y}.rows", to=TensorProto.FLOAT)
        self._add("Gather", [scale, ids], f"{y}.rows.scale")
        self._add("Mul", [f"{y}.rows", f"{y}.rows.scale"], y)

    def finish(self) -> None:
        """Replace unused weights by the new constants."""
        held = self.model.graph.initializer
        read = {name for node in self.model.graph.node for name in node.input}
        kept = [one for one in held if one.name in read]
        del held[:]
        held.extend(kept)
        held.extend(numpy_helper.from_array(value, name) for name, value in self._constants.items())
        if not any(known.domain == _MICROSOFT for known in self.model.opset_import):
            self.model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))

    def _quantise_rows(self, x: str, inputs: int) -> None:
        """x as rows of 8-bit integers with a scale each; once, however many layers use it."""
        if x in self._quantised:
            return
        self._quantised.add(x)
        flat = self._constant(f"int8.rows.{inputs}", np.array([-1, inputs]))
        self._add("Reshape", [x, flat], f"{x}.rows")
        self._add("Abs", [f"{x}.rows"], f"{x}.abs")
        self._add("ReduceMax", [f"{x}.abs"], f"{x}.max", axes=[1], keepdims=1)
        self._add("Max", [f"{x}.max", self._constant("int8.tiny", np.float32(_TINY))], f"{x}.top")
        share = self._constant("int8.share", np.float32(1 / _LIMIT))
        self._add("Mul", [f"{x}.top", share], f"{x}.scale")
        self._add("Reshape", [f"{x}.scale", self._constant("int8.flat", np.array([-1]))], f"{x}.scales")
        self._add("Shape", [f"{x}.scales"], f"{x}.count")
        zeros = numpy_helper.from_array(np.array([_ZERO], dtype=np.uint8))
        self._add("ConstantOfShape", [f"{x}.count"], f"{x}.zeros", value=zeros)
        self._add("QuantizeLinear", [f"{x}.rows", f"{x}.scales", f"{x}.zeros"], f"{x}.int8", axis=0)
        # A negative end counts from the last: all dimensions but that of the inputs.
        self._add("Shape", [x], f"{x}.leading", end=-1)

    def _constant(self, name: str, value: np.ndarray | np.generic) -> str:
        self._constants.setdefault(name, np.asarray(value))
        return name

    def _add(
        self, kind: str, inputs: list[str], output: str, *, own: bool = False, **attributes: Any
    ) -> None:
        domain = _MICROSOFT if own else None
        self.model.graph.node.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
