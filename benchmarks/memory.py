"""Memory of a run, without importing PyTorch."""

import resource
from pathlib import Path


def peak_mb() -> float:
    """The most memory that this process has held, in MB.

    The kernel's own count where there is one: `getrusage` inherits a parent's peak.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
