"""Checkpoints of a training run: whole or absent, checked by checksum, the last few kept."""

import logging
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from trialtune.errors import DataError
from trialtune.files import atomic_file, atomic_folder, read_json, sha256_of, write_json

log = logging.getLogger(__name__)
_TENSORS, _STATE, _BEST = "state.safetensors", "state.json", "best.safetensors"


@dataclass
class RunState:
    """Where a training run stands, beside its weights and optimiser."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    average_loss: float | None = None  # exponential moving average
    history: list[dict[str, Any]] = field(default_factory=list)  # one entry a scoring

    def add(self, loss: float, tokens: int) -> None:
        """Count a finished step."""
        average = self.average_loss
        self.average_loss = loss if average is None else 0.95 * average + 0.05 * loss
        self.step, self.tokens = self.step + 1, self.tokens + tokens

    def score(self, scores: dict[str, Any], *, epoch: float) -> None:
        """Put scores into the history."""
        where = {"step": self.step, "epoch": round(epoch, 4), "tokens": self.tokens}
        self.history.append({**where, "train_loss": self.average_loss, **scores})

    @property
    def scorings_since_best(self) -> int:
        """Scorings after the one with the lowest "loss"."""
        losses = [entry["loss"] for entry in self.history]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints in one folder, for runs whose settings have this fingerprint.

    Random state needs no saving: every step seeds its generators from the run's seed and the
    step's number, so weights, optimiser moments and that number are the whole state.
    """

    folder: Path
    fingerprint: str
    keep: int = 2

    def save(self, state: RunState, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write a checkpoint and drop the oldest beyond `keep`."""
        tensors = {f"model/{name}": value for name, value in _trainable(model).items()}
        moments = optimizer.state_dict()["state"]
        for index, entry in moments.items():
            tensors.update({f"optimizer/{index}/{key}": value for key, value in entry.items()})
        with atomic_folder(self.folder / f"step-{state.step:07d}") as folder:
            _write(tensors, folder / _TENSORS)
            marks = {"fingerprint": self.fingerprint, "sha256": sha256_of(folder / _TENSORS)}
            write_json(folder / _STATE, {**marks, "run": asdict(state)})
        for old in self._folders()[: -self.keep]:
            shutil.rmtree(old)

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> RunState:
        """Load the newest whole checkpoint and say where it stood; a new state when there is none.

        A damaged checkpoint is passed over with a warning; one of other settings is ignored.
        """
        for folder in reversed(self._folders()):
            try:
                state = read_json(folder / _STATE)
                whole = state["sha256"] == sha256_of(folder / _TENSORS)
            except (DataError, KeyError, OSError):
                whole = False
            if not whole:
                log.warning("%s is damaged; going back to the checkpoint before it", folder)
                continue
            if state["fingerprint"] == self.fingerprint:
                _load(load_file(folder / _TENSORS), model, optimizer)
                return RunState(**state["run"])
        return RunState()

    def save_best(self, model: nn.Module, *, step: int) -> None:
        """Keep the weights that scored best so far, for early stopping."""
        with atomic_file(self.folder / _BEST) as path:
            _write({"step": torch.tensor(step), **_trainable(model)}, path)

    def load_best(self, model: nn.Module) -> int:
        """Put the weights of `save_best` back into the model; returns their step."""
        tensors = load_file(self.folder / _BEST)
        step = int(tensors.pop("step"))
        with torch.no_grad():
            for name, value in tensors.items():
                model.get_parameter(name).copy_(value)
        return step

    def clear(self) -> None:
        """Remove all checkpoints; the finished model has taken their place."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return sorted(self.folder.glob("step-*")) if self.folder.is_dir() else []


def _trainable(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def _write(tensors: dict[str, torch.Tensor], path: Path) -> None:
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, path)


def _load(tensors: dict[str, torch.Tensor], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    with torch.no_grad():
        for name, value in _trainable(model).items():
            value.copy_(tensors[f"model/{name}"])
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimizer":
            index, _, key = rest.partition("/")
            moments.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
