"""How fast a run is, in tokens a second and as a share of what the machine can do."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

_SIZE = {"cpu": 2048, "cuda": 8192}


@lru_cache(maxsize=4)
def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Measured peak of square matrix products on a device, in floating-point operations a second."""
    size = _SIZE.get(device.type, 2048)
    matrix = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(4):  # the first also loads the kernel
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


class Meter:
    """Tokens and seconds of this process's steps; scoring and saving are left out.

    A step's tokens are those of all processes, its operations and the peak those of one.
    """

    def __init__(self, peak: float) -> None:
        self.tokens, self.seconds = 0, 0.0
        self._peak, self._operations = peak, 0.0  # the operations of one token, forward and backward

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def peak_share(self) -> float:
        """Matrix-product operations a second as a share of the measured peak; 0 when not counted."""
        return self.tokens_per_s * self._operations / self._peak

    @contextmanager
    def step(self, tokens: int) -> Iterator[None]:
        """Time one step of so many tokens; the first one's operations are counted, not timed."""
        if not self._operations:
            with FlopCounterMode(display=False) as counter:
                yield
            self._operations = counter.get_total_flops() / tokens
            return
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started
        self.tokens += tokens
