"""A classifier as an ONNX graph, for onnxruntime and whatever else reads one."""

import warnings
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from trialtune.models.onnx_signature import INPUTS, OUTPUT

_OPSET = 17  # the first with LayerNormalization as one operator


class _Logits(nn.Module):
    """The classifier as a function of two tensors, since a graph's inputs have an order."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def write_graph(model: PreTrainedModel, path: Path) -> None:
    """Write `model` in fp32: `input_ids`, `attention_mask` [batch, tokens] int64 -> `logits` [batch, labels].

    Batch and tokens are free. Whatever the tracing got wrong shows when the graph's answers are
    compared with the model's, which is the caller's to do.
    """
    with suppress(ValueError):  # of families that have one kind alone
        model.set_attn_implementation("eager")  # plain products, which the runtime fuses in its own way
    example = torch.ones((2, 7), dtype=torch.int64)
    free = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, about constants that are constant
        torch.onnx.export(
            _Logits(model).eval(),
            (example, example),
            str(path),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes={**dict.fromkeys(INPUTS, free), OUTPUT: {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,  # the newer exporter needs one package more, and pins what should be free
        )
