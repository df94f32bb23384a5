"""LoRA adapters of the encoder, in files that load in every kind of model."""

from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from trialtune.errors import UsageError
from trialtune.models.blocks import BLOCK
from trialtune.models.encoders import Encoder
from trialtune.models.settings import LoraSettings

TENSOR_FILE = "adapter_model.safetensors"
ROOT = "base_model.model."  # PEFT's wrappers, the prefix of every tensor name


def add_lora(model: PreTrainedModel, settings: LoraSettings) -> PeftModel:
    """Freeze the encoder of `model` and insert LoRA layers.

    No PEFT task type is set, so the adapter is independent of the head. Raises UsageError when a target
    matches no layer, listing those that exist.
    """
    targets = encoder_targets(model, settings.target_modules)
    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=targets,
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
        bias="none",
    )
    return get_peft_model(model, config)


def encoder_targets(model: PreTrainedModel, names: tuple[str, ...]) -> list[str]:
    """Resolve target names (or 'all-linear') to suffixes of the encoder's linear layers.

    Raises UsageError when a name matches no layer.
    """
    linear = [name for name, module in model.base_model.named_modules() if isinstance(module, nn.Linear)]
    # Suffixes that start inside a block match neither pooler nor head; a bare 'dense' would.
    inside = {match[2] for name in linear if (match := BLOCK.search(name))}
    if names == ("all-linear",):
        if not inside:
            exist = sorted({name.rsplit(".", 1)[-1] for name in linear})
            raise UsageError(
                f"LoRA target 'all-linear': the layers of a {model.config.model_type!r} encoder are not"
                f" known; name them: it has {exist}"
            )
        return sorted(inside)
    unmatched = [n for n in names if not any(f".{layer}".endswith(f".{n}") for layer in linear)]
    if unmatched:
        exist = sorted({name.rsplit(".", 1)[-1] for name in linear})
        raise UsageError(
            f"LoRA target {unmatched[0]!r} matches no layer; this encoder has {exist}, or use 'all-linear'"
        )
    return sorted({suffix for n in names for suffix in _ends(inside, n) or [n]})


def _ends(suffixes: set[str], name: str) -> list[str]:
    return [suffix for suffix in suffixes if f".{suffix}".endswith(f".{name}")]


def save_adapter(model: PeftModel, folder: Path, *, encoder: Encoder) -> None:
    """Write a PEFT adapter folder that loads in masked LMs, classifiers and bare encoders alike.

    PEFT names a tensor by the path of its layer, which has the architecture's prefix (`bert.`) inside a
    model with a head and lacks it in a bare encoder, so each tensor is stored under both names.
    """
    for config in model.peft_config.values():
        config.base_model_name_or_path = encoder.origin
        config.inference_mode = True
    model.save_pretrained(folder)
    file = folder / TENSOR_FILE
    tensors = load_file(file)
    prefix = f"{ROOT}{model.get_base_model().base_model_prefix}."
    bare = {
        name.replace(prefix, ROOT, 1): value.clone()
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    save_file({**tensors, **bare}, file, metadata={"format": "pt"})
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's card template is empty
