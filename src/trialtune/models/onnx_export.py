"""A classifier as an ONNX graph, for onnxruntime and other runtimes."""

import warnings
from contextlib import suppress
from pathlib import Path

import torch
from onnxruntime import InferenceSession, SessionOptions
from torch import nn
from torch.onnx.errors import OnnxExporterError
from transformers import PreTrainedModel

from trialtune.errors import DataError
from trialtune.models.onnx_signature import INPUTS, OUTPUT

_SIZES = ((1, 3), (2, 20))  # rows and tokens, other than those of the trace
_MOST_OFF = 1e-3  # relative to the greatest logit
_OPSET = 17  # the first with LayerNormalization as one operator


class _Logits(nn.Module):
    """The classifier as a function of two tensors, since a graph's inputs are ordered."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def write_graph(model: PreTrainedModel, path: Path) -> None:
    """Write `model` in fp32: `input_ids`, `attention_mask` [batch, tokens] int64 -> `logits` [batch, labels].

    Batch and tokens are dynamic. Raises DataError for a model that cannot be exported: whose code
    cannot be traced, or whose graph gives other outputs at sizes other than the traced one.
    """
    with suppress(ValueError):  # some architectures have only one implementation
        model.set_attn_implementation("eager")  # plain products, which the runtime fuses itself
    example = torch.ones((2, 7), dtype=torch.int64)
    free = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, about constants that are constant
        try:
            torch.onnx.export(
                _Logits(model).eval(),
                (example, example),
                str(path),
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                dynamic_axes={**dict.fromkeys(INPUTS, free), OUTPUT: {0: "batch"}},
                opset_version=_OPSET,
                dynamo=False,  # the newer exporter needs another package, and fixes dynamic sizes
            )
        except (RuntimeError, TypeError, ValueError, OnnxExporterError) as error:
            raise _unwritable(model, str(error).splitlines()[0]) from error
    _check_sizes(model, path)


@torch.no_grad()
def _check_sizes(model: PreTrainedModel, path: Path) -> None:
    """Compare the graph's outputs with the model's on random inputs of several sizes."""
    options = SessionOptions()
    options.log_severity_level = 4  # its failures are reported below
    session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for rows, tokens in _SIZES:
        ids = torch.randint(5, model.config.vocab_size, (rows, tokens), generator=generator)
        mask = torch.ones_like(ids)
        mask[-1, tokens // 2 :] = 0
        ids[mask == 0] = model.config.pad_token_id or 0
        expected = model(input_ids=ids, attention_mask=mask).logits
        try:
            [found] = session.run([OUTPUT], {INPUTS[0]: ids.numpy(), INPUTS[1]: mask.numpy()})
        except Exception as error:  # the runtime's errors have no narrower base
            raise _unwritable(model, f"the graph cannot be run on {tokens} tokens") from error
        off = (torch.from_numpy(found) - expected).abs().max() / expected.abs().max().clamp(min=1e-6)
        if not off < _MOST_OFF:
            raise _unwritable(model, f"on {tokens} tokens the graph's outputs differ by {off:.0%}")


def _unwritable(model: PreTrainedModel, reason: str) -> DataError:
    return DataError(
        f"a {model.config.model_type!r} classifier cannot be exported as an ONNX graph ({reason});"
        " use --format safetensors"
    )
