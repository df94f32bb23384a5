"""A classifier's graph in onnxruntime, on the local CPU cores."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from trialtune.classifier.backends import Batches, Scores
from trialtune.errors import DataError
from trialtune.files import sha256_of
from trialtune.models.onnx_signature import INPUTS, OUTPUT
from trialtune.workers import cores

_REMEDY = "export it again with `trialtune export`"


class OnnxBackend:
    """An ONNX graph on the local CPU cores, one batch per core, so that none waits for another."""

    tokens = 256  # more does not speed up one core, and adds padding

    def __init__(
        self, graph: Path | bytes, *, labels: int, output: str = OUTPUT, workers: int | None = None
    ) -> None:
        """Raises DataError when the file is not a classifier's graph, or is damaged."""
        self.workers, self._output = workers or cores(), output
        self._session = _open(graph)
        name = _name(graph)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if {one.name for one in inputs} != set(INPUTS) or [one.name for one in outputs] != [output]:
            raise DataError(f"{name}: takes {', '.join(one.name for one in inputs)}; {_REMEDY}")
        if outputs[0].shape[-1] != labels:
            raise DataError(f"{name}: gives {outputs[0].shape[-1]} labels, config.json {labels}; {_REMEDY}")
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

    def _run(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        logits: np.ndarray = self._session.run([self._output], batch)[0]
        return logits


def seal(graph: Path) -> None:
    """Write a graph's checksum next to it, in `sha256sum` format; verified when the graph is opened."""
    _seal_of(graph).write_text(f"{sha256_of(graph)}  {graph.name}\n")


def _seal_of(graph: Path) -> Path:
    return graph.with_name(f"{graph.name}.sha256")


def _name(graph: Path | bytes) -> str:
    return str(graph) if isinstance(graph, Path) else "the graph"


def _check_seal(graph: Path) -> None:
    sealed = _seal_of(graph)
    if sealed.is_file() and sealed.read_text().split()[:1] != [sha256_of(graph)]:
        raise DataError(f"{graph}: is damaged, its checksum differs from {sealed.name}; {_REMEDY}")


def _open(graph: Path | bytes) -> Any:
    if isinstance(graph, Path):
        _check_seal(graph)
    held = str(graph) if isinstance(graph, Path) else graph
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # no two batches have the same shape
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(held, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a dozen classes without a common base
        raise DataError(
            f"{_name(graph)}: onnxruntime {onnxruntime.__version__} cannot open it ({str(error)[:200]});"
            f" {_REMEDY}, or install a newer onnxruntime"
        ) from error
