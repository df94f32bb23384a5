"""Checkpoints of a training run: atomic, verified by checksum, the last few kept."""

import logging
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from trialtune.errors import DataError
from trialtune.files import atomic_folder, read_json, sha256_of, write_json

log = logging.getLogger(__name__)
_TENSORS, _STATE = "state.safetensors", "state.json"


@dataclass
class RunState:
    """The state of a training run, besides its weights and optimiser."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    average_loss: float | None = None  # exponential moving average
    history: list[dict[str, Any]] = field(default_factory=list)  # one entry per evaluation

    def add(self, loss: float, tokens: int) -> None:
        """Count a finished step."""
        average = self.average_loss
        self.average_loss = loss if average is None else 0.95 * average + 0.05 * loss
        self.step, self.tokens = self.step + 1, self.tokens + tokens

    def score(self, scores: dict[str, Any], *, epoch: float) -> None:
        """Add scores to the history."""
        where = {"step": self.step, "epoch": round(epoch, 4), "tokens": self.tokens}
        self.history.append({**where, "train_loss": self.average_loss, **scores})

    @property
    def best(self) -> int:
        """Index in the history of the evaluation with the lowest "loss"."""
        losses = [entry["loss"] for entry in self.history]
        return losses.index(min(losses))

    @property
    def scorings_since_best(self) -> int:
        return len(self.history) - 1 - self.best if self.history else 0


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run in `folder`; runs with other fingerprints have separate subfolders.

    Random state is not saved: every step seeds its generators from the run's seed and the
    step's number, so weights, optimiser moments and that number are the whole state. `save_state` of
    accelerate pickles the optimiser and random state, writes frozen weights too, and leaves a partial
    folder when it is killed.
    """

    folder: Path
    fingerprint: str
    keep: int = 2

    @property
    def own(self) -> Path:
        """The folder of this run."""
        return self.folder / self.fingerprint[:16]

    def save(
        self,
        state: RunState,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        best: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Write a checkpoint, with early stopping's `best` weights, and drop the oldest beyond `keep`."""
        tensors = {f"model/{name}": value for name, value in trainable(model).items()}
        tensors |= {f"best/{name}": value for name, value in (best or {}).items()}
        moments = optimizer.state_dict()["state"]
        for index, entry in moments.items():
            tensors.update({f"optimizer/{index}/{key}": value for key, value in entry.items()})
        with atomic_folder(self.own / f"step-{state.step:07d}") as folder:
            save_file(
                {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, folder / _TENSORS
            )
            write_json(folder / _STATE, {"sha256": sha256_of(folder / _TENSORS), "run": asdict(state)})
        for old in self._folders()[: -self.keep]:
            shutil.rmtree(old)

    def restore(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[RunState, dict[str, torch.Tensor]]:
        """Load the newest complete checkpoint: its state and its best weights.

        Without one, a new state. A damaged checkpoint is skipped with a warning; those of runs
        with other settings are ignored, also with a warning.
        """
        for folder in reversed(self._folders()):
            try:
                state = read_json(folder / _STATE)
                whole = state["sha256"] == sha256_of(folder / _TENSORS)
            except (DataError, KeyError, OSError):
                whole = False
            if not whole:
                log.warning("%s is damaged; using the previous checkpoint", folder)
                continue
            parts = _split(load_file(folder / _TENSORS))
            load(parts["model"], model)
            _load_moments(parts["optimizer"], optimizer)
            return RunState(**state["run"]), parts["best"]
        if self.folder.is_dir() and any(other != self.own for other in self.folder.iterdir()):
            log.warning("%s: its checkpoints are from other settings or data; starting over", self.folder)
        return RunState(), {}

    def _folders(self) -> list[Path]:
        return sorted(self.own.glob("step-*")) if self.own.is_dir() else []


def trainable(model: nn.Module) -> dict[str, torch.Tensor]:
    """The trainable parameters of a model, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def load(tensors: dict[str, torch.Tensor], model: nn.Module) -> None:
    """Copy tensors into the trainable parameters of those names."""
    with torch.no_grad():
        for name, value in trainable(model).items():
            value.copy_(tensors[name])


def _load_moments(tensors: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition("/")
        moments.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def _split(tensors: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "optimizer": {}, "best": {}}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        parts[kind][rest] = tensor
    return parts
