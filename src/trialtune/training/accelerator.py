"""Devices, processes and experiment trackers, through accelerate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import DistributedType, LoggerType

from trialtune.errors import UsageError
from trialtune.training.settings import TrainSettings


def open_accelerator(settings: TrainSettings, logs: Path | None) -> Accelerator:
    """The accelerator of a run, with its trackers (TensorBoard, Weights & Biases...) open on `logs`.

    Raises UsageError for a tracker that is unknown or not installed, and for sharded models.
    """
    for name in settings.report_to:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise UsageError(f"tracker {name!r}: choose from {', '.join(sorted(LOGGER_TYPE_TO_CLASS))}")
        if LoggerType(name) not in get_available_trackers():
            raise UsageError(f"tracker {name!r} is not installed: pip install {name}")
    # Precision is handled here: the frozen weights are stored in it.
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),  # explicit, or processes on CPUs do not find each other
        mixed_precision="no",
        log_with=list(settings.report_to) or None,
        project_dir=logs,
    )
    refuse_sharding(accelerator.distributed_type)
    if settings.report_to:
        if logs:
            logs.mkdir(parents=True, exist_ok=True)
        plain = {
            name: value if isinstance(value, int | float | str) else str(value)
            for name, value in settings.model_dump(mode="json").items()
        }
        accelerator.init_trackers("trialtune", config=plain)
    return accelerator


def refuse_sharding(kind: DistributedType) -> None:
    """Raise UsageError for a launcher that shards the model, since checkpoints need complete ones."""
    if kind in (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise UsageError(
            f"{kind.value} shards a model over processes, which checkpoints here do not support. Launch "
            "with plain torchrun, and save memory with gradient_accumulation_steps and gradient_checkpointing"
        )


def track(accelerator: Accelerator, step: int, values: dict[str, Any]) -> None:
    """Send the numbers among `values`, nested ones as `outer/inner`, to the run's trackers."""
    if accelerator.trackers:
        accelerator.log(dict(_numbers(values)), step=step)


def _numbers(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, float):
            yield prefix + name, value


def close_trackers(accelerator: Accelerator) -> None:
    """Flush the trackers; the process group stays open for the next run."""
    for tracker in accelerator.trackers:
        tracker.finish()
