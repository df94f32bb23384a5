"""The memory of a run, without the weight of PyTorch."""

import resource
from pathlib import Path


def peak_mb() -> float:
    """The most memory that this process has held, in MB.

    The kernel's own count where there is one: `getrusage` hands a parent's peak down to its children.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
