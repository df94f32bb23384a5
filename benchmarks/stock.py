"""The stock Trainer of `transformers` with a clock, the baseline of the benchmarks."""

import time
from typing import Any

import torch
from transformers import TrainerCallback, TrainingArguments


class Clock(TrainerCallback):
    """Notes the `seconds` of each training step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.perf_counter() - self.started)


def stock_arguments(folder: str, *, batch_size: int, steps: int, **more: Any) -> TrainingArguments:
    """Settings of a Trainer that trains for some steps, and neither saves nor reports."""
    return TrainingArguments(
        folder,
        per_device_train_batch_size=batch_size,
        max_steps=steps,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **more,
    )
