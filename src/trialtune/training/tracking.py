"""Experiment trackers, through accelerate: TensorBoard, Weights & Biases, MLflow, Trackio and others."""

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import LoggerType

from trialtune.errors import UsageError
from trialtune.training.settings import TrainSettings


def open_trackers(settings: TrainSettings, logs: Path | None) -> Accelerator:
    """The accelerator of a run, with its trackers open; files go to `logs`.

    Raises UsageError for a tracker that is not known or not installed.
    """
    for name in settings.trackers:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise UsageError(f"tracker {name!r}: choose from {', '.join(sorted(LOGGER_TYPE_TO_CLASS))}")
        if LoggerType(name) not in get_available_trackers():
            raise UsageError(f"tracker {name!r} is not installed: pip install {name}")
    # Precision is ours: the frozen weights are held in it.
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),  # said aloud, or processes on CPUs do not find each other
        mixed_precision="no",
        log_with=list(settings.trackers) or None,
        project_dir=logs,
    )
    if settings.trackers:
        if logs:
            logs.mkdir(parents=True, exist_ok=True)
        plain = {
            name: value if isinstance(value, int | float | str) else str(value)
            for name, value in settings.model_dump(mode="json").items()
        }
        accelerator.init_trackers("trialtune", config=plain)
    return accelerator


def track(accelerator: Accelerator, step: int, values: dict[str, Any]) -> None:
    """Send the numbers among `values` to the run's trackers."""
    accelerator.log({name: value for name, value in values.items() if isinstance(value, float)}, step=step)


def close_trackers(accelerator: Accelerator) -> None:
    """Write what the trackers still hold; the processes' connection stays open, for the next run."""
    for tracker in accelerator.trackers:
        tracker.finish()
