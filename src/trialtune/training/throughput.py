"""Throughput of a run, in tokens per second and as a share of the machine's peak."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

_SIZE = {"cpu": 2048, "cuda": 8192}


@lru_cache(maxsize=4)
def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Measured peak of square matrix products on a device, in floating-point operations per second."""
    size = _SIZE.get(device.type, 2048)
    matrix = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(4):  # the first also loads the kernel
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def count_operations(work: Callable[[], None]) -> int:
    """Counts matrix-product operations of a function, run uncompiled."""
    with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


class Meter:
    """Tokens and seconds of this process's steps, without evaluation and saving.

    A step's tokens are those of all processes, the peak is that of one. `operations` are those of a
    token, forward and backward.
    """

    def __init__(self, *, peak: float, processes: int) -> None:
        self.tokens, self.seconds, self.operations = 0, 0.0, 0.0
        self._peak = peak * processes

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def peak_share(self) -> float:
        """Matrix-product operations per second as a share of the measured peak."""
        return self.tokens_per_s * self.operations / self._peak

    @contextmanager
    def step(self, tokens: int) -> Iterator[None]:
        """Time one step of a number of tokens."""
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started
        self.tokens += tokens
