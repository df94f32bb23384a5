"""The software and hardware that an experiment ran on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from trialtune.reports.run_result import Machine

_PACKAGES = ("trialtune", "torch", "transformers", "peft", "accelerate", "polars", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of Python and the packages that affect the results."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def machine() -> Machine:
    """Processor, cores, memory in GiB, and the GPU when there is one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        cpu=_cpu_name(),
        cores=os.cpu_count(),
        memory_gib=round(memory, 1),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    )


def _cpu_name() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
