"""Opens LoRA adapters in any kind of model on an encoder, including adapters from other tools."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, PeftModel, PeftType, get_peft_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer, check_target_module_exists
from peft.utils.other import get_pattern_key
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

from trialtune.errors import DataError
from trialtune.models.blocks import BLOCK
from trialtune.models.hub import ADAPTER_CONFIG, fetch_adapter, is_repository
from trialtune.models.lora import ROOT, TENSOR_FILE

log = logging.getLogger(__name__)

_MASKED_LM_CLASSES = ("ForMaskedLM", "ForPreTraining")
# Settings of adapters that are not the sum of a layer and a product of two matrices.
_OTHER_KINDS = {
    "alora_invocation_tokens": "it is activated LoRA, which applies from certain tokens of a prompt on",
    "target_parameters": "it changes parameters outside layers (target_parameters)",
    "layer_replication": "it repeats layers of the encoder (layer_replication)",
    "arrow_config": "it chooses among several adapters (arrow_config)",
    "trainable_token_indices": "it trains single word embeddings (trainable_token_indices)",
}
_PICKLE_FILE = "adapter_model.bin"


def find_adapter(adapter: Path | str) -> Path:
    """The folder of an adapter: a local one, or that of OWNER/NAME on the Hugging Face Hub.

    Raises DataError as `check_adapter` does, and when it cannot be fetched from the Hub.
    """
    folder = Path(adapter)
    if not folder.is_dir() and is_repository(str(adapter)):
        folder = fetch_adapter(str(adapter))
    check_adapter(folder)
    return folder


def check_adapter(folder: Path) -> None:
    """Raise DataError when `folder` is not an adapter folder, or one whose tensors are a pickle."""
    missing = [name for name in (ADAPTER_CONFIG, TENSOR_FILE) if not (folder / name).is_file()]
    if missing == [TENSOR_FILE] and (folder / _PICKLE_FILE).is_file():
        raise DataError(
            f"{folder / _PICKLE_FILE}: a pickle can run code when it is opened; convert it to {TENSOR_FILE} "
            "(PEFT's save_pretrained writes one)"
        )
    if missing:
        raise DataError(f"{folder}: not an adapter folder (no {missing[0]}); see `trialtune adapt`")


def merge_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Merge an adapter folder into the model's own weights; raises DataError like `open_adapter`."""
    opened = open_adapter(model, folder)
    _untie(opened.get_base_model())
    merged: PreTrainedModel = opened.merge_and_unload()
    return merged.requires_grad_(True)  # PEFT froze it


def _untie(model: PreTrainedModel) -> None:
    """Untie word embeddings and decoder where an adapter changes only one of them.

    PEFT merges into the shared matrix, and so into both (huggingface/peft#2018, #2777).
    """
    pair = (model.get_input_embeddings(), model.get_output_embeddings())
    if not any(isinstance(layer, BaseTunerLayer) for layer in pair):
        return
    words, decoder = (
        layer.get_base_layer() if isinstance(layer, BaseTunerLayer) else layer for layer in pair
    )
    if decoder is not None and decoder.weight is words.weight:
        # Both: the configuration's flag is for the weight and the bias.
        for name, value in decoder.named_parameters():
            setattr(decoder, name, nn.Parameter(value.detach().clone()))
        model.config.tie_word_embeddings = False


def open_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """Insert an adapter folder into the encoder of any kind of model, frozen and active; changes `model`.

    The folder may come from another tool: a tensor is matched to its layer by the path inside the encoder,
    whatever model it was trained in. Layers of a masked-LM head are loaded in masked language models;
    the task type and the rest of its head are left out, with a warning. Raises DataError when the
    folder is damaged, does not fit the encoder, or holds more than LoRA layers of the encoder.
    """
    check_adapter(folder)
    config, tensors = _read(folder)
    lora = {name: value for name, value in tensors.items() if ".lora_" in name}
    heads = sorted(tensors.keys() - lora.keys())
    _check_heads(heads, model, folder)
    places = _find_layers(lora, config, model, folder)
    lora = {name: value for name, value in lora.items() if name in places}
    without = sorted({_layer_of(name) for name in tensors if ".lora_" in name} - set(map(_layer_of, lora)))
    _check_covers(config, set(places.values()), model, folder)
    fitted = _rename(lora, places, folder)
    renamed = len(fitted.keys() - lora.keys())
    if notes := _describe(config, heads, without, renamed, bare=model.base_model is model):
        log.warning("%s: %s", folder, "; ".join(notes))
    try:
        adapted = get_peft_model(model, _fit_config(config, places))
        loaded = set_peft_model_state_dict(adapted, fitted)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()  # torch's first line only names the class
        raise _damaged(folder, reason) from error
    if unpaired := [*loaded.unexpected_keys, *(key for key in loaded.missing_keys if ".lora_" in key)]:
        raise _damaged(folder, f"{unpaired[0]} is in only one of the configuration and the tensors")
    opened: PeftModel = adapted.eval()  # new LoRA layers would apply dropout
    return opened


def _damaged(folder: Path, reason: str) -> DataError:
    return DataError(f"{folder}: this adapter is damaged or does not fit the encoder ({reason})")


def _read(folder: Path) -> tuple[LoraConfig, dict[str, torch.Tensor]]:
    try:
        config = PeftConfig.from_pretrained(str(folder))
        tensors = load_file(folder / TENSOR_FILE)
    except (ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
        raise _damaged(folder, str(error).splitlines()[0]) from error
    if config.peft_type != PeftType.LORA:
        kind = str(config.peft_type).removeprefix("PeftType.")
        raise DataError(f"{folder / ADAPTER_CONFIG}: peft_type is {kind}; only LORA adapters can be opened")
    if used := [what for name, what in _OTHER_KINDS.items() if getattr(config, name, None)]:
        raise DataError(
            f"{folder / ADAPTER_CONFIG}: {used[0]}; only LoRA, rsLoRA and DoRA adapters of layers can be"
            " opened"
        )
    # The matrices initialized to zero: B of a linear layer, A of an embedding.
    if not any(value.any() for name, value in tensors.items() if re.search(r"lora_(B|embedding_A)", name)):
        raise DataError(f"{folder}: this adapter has no effect (all LoRA weights are zero); was it trained?")
    return config, tensors


def _check_heads(names: list[str], model: PreTrainedModel, folder: Path) -> None:
    """Heads may be left out, but without a trained part of the encoder the rest would be wrong."""
    parts = {name for name, _ in model.base_model.named_children()}
    if inner := [name for name in names if parts & set(name.split("."))]:
        raise DataError(
            f"{folder}: {inner[0]} belongs to the encoder and is not a LoRA tensor; merge this adapter with "
            "PEFT and give the merged folder as the encoder"
        )


def _find_layers(
    lora: Mapping[str, torch.Tensor], config: LoraConfig, model: PreTrainedModel, folder: Path
) -> dict[str, str]:
    """From each tensor's name to the path of its layer in `model`; without those of a head it lacks."""
    prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
    inside = {name for name, _ in model.base_model.named_modules()}
    heads = {name for name, _ in model.named_modules()} if _heads_agree(config, model) else set()
    places = {}
    for name in lora:
        path = _layer_of(name)
        steps = path.split(".")
        tails = (".".join(steps[start:]) for start in range(len(steps)))
        if tail := next((tail for tail in tails if tail in inside), None):
            places[name] = prefix + tail
        elif not _is_of_head(path, model):
            raise _unplaced(name, model, folder)
        elif path in heads:
            places[name] = path
    if not any(place.startswith(prefix) for place in places.values()):
        raise _unplaced(next(iter(lora)), model, folder)
    return places


def _unplaced(name: str, model: PreTrainedModel, folder: Path) -> DataError:
    return DataError(
        f"{folder}: {name} matches no layer in this {model.config.model_type!r} encoder; "
        "was the adapter made for another one?"
    )


def _heads_agree(config: LoraConfig, model: PreTrainedModel) -> bool:
    """Whether both have a masked-LM head: a classifier's may have layers of the same names."""
    made_in = (config.auto_mapping or {}).get("base_model_class", "")
    if config.task_type or (made_in and not made_in.endswith(_MASKED_LM_CLASSES)):
        return False
    return isinstance(model, tuple(MODEL_FOR_MASKED_LM_MAPPING.values()))


def _is_of_head(path: str, model: PreTrainedModel) -> bool:
    """Whether a layer's path is that of a head, or of a pooler, which not every model has."""
    steps = set(path.split("."))
    if "pooler" in steps:
        return True
    parts = {name for name, _ in model.base_model.named_children()} | {model.base_model_prefix}
    return not BLOCK.search(path) and not steps & parts


def _layer_of(tensor: str) -> str:
    return tensor.partition(".lora_")[0].removeprefix(ROOT)


def _check_covers(config: LoraConfig, places: set[str], model: PreTrainedModel, folder: Path) -> None:
    """An adapter of a smaller encoder would fit only the lower blocks, without an error from PEFT."""
    linear = (name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    for name in linear:
        if BLOCK.search(name) and name not in places and check_target_module_exists(config, name):
            raise _damaged(folder, f"it has no tensors for {name}")


def _rename(
    lora: Mapping[str, torch.Tensor], places: Mapping[str, str], folder: Path
) -> dict[str, torch.Tensor]:
    """The tensors under their names in the model; `save_adapter` stores each under two."""
    fitted: dict[str, torch.Tensor] = {}
    for name, value in lora.items():
        target = f"{ROOT}{places[name]}.lora_{name.partition('.lora_')[2]}"
        if not torch.equal(fitted.setdefault(target, value), value):
            raise _damaged(folder, f"{name} occurs twice, with different values")
    return fitted


def _fit_config(config: LoraConfig, places: Mapping[str, str]) -> LoraConfig:
    """The adapter's configuration for exactly the layers it has, without task type or head."""
    return replace(
        config,
        task_type=None,
        auto_mapping=None,
        base_model_name_or_path=None,
        modules_to_save=None,
        inference_mode=True,
        target_modules=sorted(set(places.values())),
        exclude_modules=None,
        layers_to_transform=None,
        layers_pattern=None,
        rank_pattern=_fit_pattern(config.rank_pattern, places),
        alpha_pattern=_fit_pattern(config.alpha_pattern, places),
    )


def _fit_pattern(pattern: Mapping[str, int], places: Mapping[str, str]) -> dict[str, int]:
    """PEFT matches patterns to the paths of the model an adapter was made in: resolve them there."""
    return {
        f"^{re.escape(place)}": pattern[key]
        for name, place in places.items()
        if (key := get_pattern_key(pattern, _layer_of(name))) in pattern
    }


def _describe(
    config: LoraConfig, heads: list[str], without: list[str], renamed: int, *, bare: bool
) -> list[str]:
    notes = []
    if config.task_type:
        notes.append(f"its task type {config.task_type} is dropped")
    if heads:
        notes.append(f"{len(heads)} tensors of its head are left out ({heads[0]}, ...)")
    if without:
        notes.append(f"its layers outside this model are left out ({', '.join(without)})")
    if renamed:
        notes.append(
            f"{renamed} tensors are renamed for {'a bare encoder' if bare else 'a model with a head'}"
        )
    return notes
