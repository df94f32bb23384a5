"""How compute threads wait for each other: OpenMP reads it once, when PyTorch is loaded."""

import os

# Iterations of a spin loop before a thread sleeps. Between two operations of a training step it waits for
# less, so an idle machine loses nothing; and where another process occupies a thread's core, the others
# soon yield theirs. libgomp's default, 300,000, makes a shared machine several times slower.
_SPINS = "2000"


def wait_briefly() -> None:
    """Make the threads of libgomp, PyTorch's on Linux, spin briefly and then sleep.

    By the environment, so that child processes do so too. The user's own setting is kept.
    Where PyTorch is loaded already, it affects only child processes.
    """
    if os.environ.keys().isdisjoint({"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}):
        os.environ["GOMP_SPINCOUNT"] = _SPINS
