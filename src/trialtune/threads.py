"""How the threads that compute wait for each other: OpenMP reads it once, when PyTorch is loaded."""

import os

# Turns of a waiting loop before a thread sleeps. Between two operations of a training step it waits for
# less, so an idle machine loses nothing; and where another process has taken a thread's core, the others
# soon leave theirs. libgomp's own count, 300,000, makes a shared machine several times slower.
_SPINS = "2000"


def wait_briefly() -> None:
    """Have the threads of libgomp, PyTorch's on Linux, spin briefly and then sleep.

    By the environment, so that processes which this one starts do it, too. What the user has set stays.
    Where PyTorch is loaded already, only those processes are reached.
    """
    if os.environ.keys().isdisjoint({"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}):
        os.environ["GOMP_SPINCOUNT"] = _SPINS
