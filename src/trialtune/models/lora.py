"""LoRA adapters of the encoder, in files that open in every kind of model."""

import re
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from trialtune.errors import DataError, UsageError
from trialtune.models.encoders import locate
from trialtune.settings import Settings

# A layer's place inside an encoder block: "encoder.layer.3.attention.self.query" -> "attention.self.query".
_IN_BLOCK = re.compile(r"(?:^|\.)layers?\.\d+\.(.+)$")


_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


class LoraSettings(Settings):
    """Shape of the adapter (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""

    r: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = Field(("all-linear",), min_length=1)
    use_rslora: bool = Field(False, description="scale by alpha / sqrt(r): https://arxiv.org/abs/2312.03732")
    use_dora: bool = Field(False, description="weight-decomposed LoRA: https://arxiv.org/abs/2402.09353")


def add_lora(model: PreTrainedModel, settings: LoraSettings) -> PeftModel:
    """Freeze the encoder of a masked language model and put LoRA layers into it.

    No PEFT task type is set, so the adapter is tied to no head. Raises UsageError when a target
    matches no layer, listing those that exist.
    """
    targets = encoder_targets(model, settings.target_modules)
    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
        bias="none",
    )
    return get_peft_model(model, config)


def encoder_targets(model: PreTrainedModel, names: tuple[str, ...]) -> list[str]:
    """Resolve target names (or 'all-linear') to suffixes of the encoder's linear layers."""
    linear = [name for name, module in model.base_model.named_modules() if isinstance(module, nn.Linear)]
    if names == ("all-linear",):
        # Suffixes that start inside a block match neither the pooler nor any head.
        return sorted({match[1] for name in linear if (match := _IN_BLOCK.search(name))})
    unmatched = [n for n in names if not any(f".{layer}".endswith(f".{n}") for layer in linear)]
    if unmatched:
        exist = sorted({name.rsplit(".", 1)[-1] for name in linear})
        raise UsageError(
            f"LoRA target {unmatched[0]!r} matches no layer; this encoder has {exist}, or use 'all-linear'"
        )
    return list(names)


def save_adapter(model: PeftModel, folder: Path, *, encoder: str) -> None:
    """Write a PEFT adapter folder that opens in masked LMs, classifiers and bare encoders alike.

    PEFT names a tensor by the path of its layer, which has the family prefix (`bert.`) inside a
    model with a head and lacks it in a bare encoder, so each tensor is stored under both names.
    """
    location = locate(encoder)
    for config in model.peft_config.values():
        config.base_model_name_or_path = (
            str(Path(location).resolve()) if Path(location).is_dir() else location
        )
        config.inference_mode = True
    model.save_pretrained(folder)
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    prefix = f"base_model.model.{model.get_base_model().base_model_prefix}."
    bare = {
        name.replace(prefix, "base_model.model.", 1): value.clone()
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    save_file({**tensors, **bare}, file, metadata={"format": "pt"})
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty card says nothing of this adapter


def check_adapter(folder: Path) -> None:
    """Raise DataError when `folder` is not an adapter folder."""
    if missing := [name for name in _ADAPTER_FILES if not (folder / name).is_file()]:
        raise DataError(f"{folder}: not an adapter folder (no {missing[0]}); make one with `trialtune adapt`")


def merge_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Fold an adapter folder into the model's own weights; raises DataError when it does not fit."""
    check_adapter(folder)
    try:
        adapted = PeftModel.from_pretrained(model, str(folder))
    except (ValueError, RuntimeError, OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{folder}: this adapter is damaged or does not fit the encoder ({reason})"
        ) from error
    if all(value.abs().sum() == 0 for name, value in adapted.named_parameters() if "lora_B" in name):
        raise DataError(f"{folder}: no weight of this adapter fits the encoder; was it made for another one?")
    merged: PreTrainedModel = adapted.merge_and_unload()
    return merged.requires_grad_(True)  # PEFT froze it
