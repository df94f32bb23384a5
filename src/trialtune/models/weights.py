"""Reads all tensors of a model's folder, in any format, under their plain names."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from trialtune.errors import DataError
from trialtune.files import read_json

SINGLE, PICKLED = "model.safetensors", "pytorch_model.bin"
_FORMS = (SINGLE, f"{SINGLE}.index.json", PICKLED, f"{PICKLED}.index.json")  # the first found is read

# Prefixes of tensor names when a wrapped model was saved: by
# torch.compile, data parallel training, PEFT, sentence-transformers.
_WRAPPER = re.compile(
    r"^(?:(?:_orig_mod|module|base_model\.model|0\.auto_model|0\.model)\.)+|(?<=\.)_orig_mod\."
)


def weights_file(folder: Path) -> Path | None:
    """The file of a folder's weights, or their index; None when there is none."""
    return next((folder / name for name in _FORMS if (folder / name).is_file()), None)


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a model's folder, without wrapper prefixes; raises DataError for a broken file."""
    file = weights_file(folder)
    if file is None:
        raise DataError(f"{folder}: has no weights; it needs {SINGLE}")
    files = _shards(file) if file.suffix == ".json" else [file]
    found: dict[str, torch.Tensor] = {}
    for name, value in (pair for each in files for pair in _read(each).items()):
        plain = _WRAPPER.sub("", name)
        if plain in found and not torch.equal(found[plain], value):
            raise DataError(f"{folder}: holds {plain} twice, with different values; save the model again")
        found[plain] = value
    return found


def _shards(index: Path) -> list[Path]:
    described = read_json(index)
    named = described.get("weight_map") if isinstance(described, dict) else None
    if not isinstance(named, Mapping):
        raise DataError(f"{index}: lists no weight files; copy it again from where the model came from")
    files = [index.parent / name for name in sorted(set(named.values()))]
    if lacking := [file.name for file in files if not file.is_file()]:
        raise DataError(
            f"{index.parent}: {len(lacking)} of {len(files)} of its weight files are missing"
            f" ({lacking[0]}); copy the whole folder"
        )
    return files


def _read(file: Path) -> dict[str, torch.Tensor]:
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except (SafetensorError, OSError, ValueError) as error:
            raise DataError(
                f"{file}: cannot be read, it is truncated or damaged ({_line(error)}); copy it again"
            ) from error
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)  # tensors, never code
    except Exception as error:  # torch raises many classes for damaged files
        raise DataError(
            f"{file}: is damaged, or holds more than tensors, which could run code ({_line(error)});"
            f" copy it again, or save it as {SINGLE} with save_pretrained"
        ) from error
    named = held.items() if isinstance(held, Mapping) else ()
    tensors = {name: value for name, value in named if isinstance(value, torch.Tensor)}
    if not tensors:
        raise DataError(f"{file}: has no named tensors; save the model again with save_pretrained")
    return tensors


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
