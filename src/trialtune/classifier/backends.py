"""What computes a classifier's logits: PyTorch on any device, or onnxruntime on a CPU."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from transformers import PreTrainedModel

from trialtune.errors import DataError, UsageError
from trialtune.files import sha256_of
from trialtune.models.onnx_export import INPUTS, OUTPUT
from trialtune.models.precision import autocast_type
from trialtune.workers import cores

GRAPH_FILE = "model.onnx"

Batches = Iterable[tuple[list[int], dict[str, torch.Tensor]]]  # rows, and what the model reads of them
Scores = Iterator[tuple[list[int], np.ndarray]]  # rows, and their logits [rows, labels]


class Backend(Protocol):
    """Scores batches one after the other; `tokens` is how many suit it in one."""

    tokens: int
    workers: int  # batches at a time

    def score(self, batches: Batches) -> Scores: ...


class TorchBackend:
    """A `transformers` model where it stands."""

    workers = 1

    def __init__(self, model: PreTrainedModel, *, precision: str = "auto") -> None:
        self._model, self._type = model.eval(), autocast_type(precision, model.device)
        # A CPU computes fastest on what its caches hold; an accelerator wants enough to do.
        self.tokens = 2048 if model.device.type == "cpu" else 32_768

    def score(self, batches: Batches) -> Scores:
        device = self._model.device
        # One autocast for all batches, so that the weights are cast once; torch's decorator of
        # generators would have them cast for each.
        with torch.autocast(device.type, dtype=self._type, enabled=self._type is not None):
            for rows, batch in batches:
                inputs = {name: value.to(device) for name, value in batch.items()}
                with torch.inference_mode():
                    logits = self._model(**inputs).logits.float().cpu().numpy()
                yield rows, logits


class OnnxBackend:
    """An ONNX graph on the cores of this machine, a batch a core: they need not wait for one another."""

    tokens = 256  # one core gains nothing from more, and little padding is left

    def __init__(self, graph: Path, *, labels: int, workers: int | None = None) -> None:
        """Raises UsageError without onnxruntime, DataError when the file is no graph of such a classifier."""
        self.workers = workers or cores()
        self._session = _open(graph)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if {one.name for one in inputs} != set(INPUTS) or [one.name for one in outputs] != [OUTPUT]:
            raise DataError(f"{graph}: takes {', '.join(one.name for one in inputs)}; {_MEND}")
        if outputs[0].shape[-1] != labels:
            raise DataError(f"{graph}: gives {outputs[0].shape[-1]} labels, config.json {labels}; {_MEND}")
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="onnx")

    def score(self, batches: Batches) -> Scores:
        waiting: deque[tuple[list[int], Future[np.ndarray]]] = deque()
        for rows, batch in batches:
            waiting.append((rows, self._pool.submit(self._run, batch)))
            if len(waiting) > 2 * self.workers:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()

    def _run(self, batch: dict[str, torch.Tensor]) -> np.ndarray:
        logits: np.ndarray = self._session.run([OUTPUT], {name: batch[name].numpy() for name in INPUTS})[0]
        return logits


_MEND = "write it again with `trialtune export`"


def seal(graph: Path) -> None:
    """Write a graph's checksum beside it, in the form of `sha256sum`; it is checked when it is opened."""
    _seal_of(graph).write_text(f"{sha256_of(graph)}  {graph.name}\n")


def _seal_of(graph: Path) -> Path:
    return graph.with_name(f"{graph.name}.sha256")


def _open(graph: Path) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            f"{graph} needs onnxruntime; install it with: pip install 'trialtune[onnx]'"
        ) from error
    sealed = _seal_of(graph)
    if sealed.is_file() and sealed.read_text().split()[:1] != [sha256_of(graph)]:
        raise DataError(f"{graph}: is damaged, its checksum is not that of {sealed.name}; {_MEND}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # no two batches have the same shape
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has a dozen kinds, which share no base
        raise DataError(f"{graph}: is no whole ONNX graph ({str(error)[:200]}); {_MEND}") from error
