"""The floating-point precision for a device."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from trialtune.errors import UsageError

log = logging.getLogger(__name__)

_OF_TYPES = ("BFloat16", "bfloat16", "dtype", "Half")  # words in torch's errors about types


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """The autocast type of a precision on a device; None means plain fp32."""
    if precision == "fp32":
        return None
    if precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else None


class AutocastModel:
    """A model that scores in a precision; with "auto" in fp32 where its code does not support bf16."""

    def __init__(self, model: PreTrainedModel, precision: str) -> None:
        self._model, self._type = model.eval(), autocast_type(precision, model.device)
        self._may_fall_back = precision == "auto"

    def cached(self) -> AbstractContextManager[Any]:
        """A context for many calls: weights are cast only once."""
        return torch.autocast(self._model.device.type, dtype=self._type, enabled=self._type is not None)

    @torch.inference_mode()
    def __call__(self, **inputs: torch.Tensor) -> Any:
        """The model's output; raises UsageError when bf16 was requested and is not supported."""
        family = self._model.config.model_type
        try:
            with self.cached(), types_explained(family):
                return self._model(**inputs)
        except UsageError:
            if not self._may_fall_back:
                raise
        log.warning("%r models do not support bf16; using fp32", family)
        self._type = None
        return self(**inputs)


@contextmanager
def types_explained(family: str) -> Iterator[None]:
    """Explain that an architecture's code does not support autocast, as DeBERTa's and BigBird's."""
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error) for word in _OF_TYPES):
            raise
        raise UsageError(
            f"{family!r} models do not support bf16 ({str(error).splitlines()[0]}); use precision fp32"
        ) from error
