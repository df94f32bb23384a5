"""Prunes an encoder: fewer layers, narrower ones, a smaller vocabulary."""

import copy
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from transformers import AutoModel, PretrainedConfig

from trialtune.errors import UsageError
from trialtune.files import atomic_folder, check_replaceable
from trialtune.models.blocks import BLOCK
from trialtune.models.encoders import Encoder
from trialtune.models.settings import ShrinkSettings

_INNER, _OUTER = "intermediate.dense", "output.dense"  # a layer's feed-forward part, in BERT's naming
_WORDS = "embeddings.word_embeddings.weight"
_SETTINGS_KEPT = ("tokenizer_config.json", "special_tokens_map.json")


@dataclass(frozen=True)
class Shrunk:
    """The result of `shrink`: word pieces and parameters, before and after."""

    vocabulary: tuple[int, int]
    parameters: tuple[int, int]


def shrink(
    encoder: Encoder | Path | str,
    out: Path,
    *,
    settings: ShrinkSettings | None = None,
    texts: Iterable[str] | None = None,
) -> Shrunk:
    """Write a smaller encoder to the folder `out`: a student to be trained by distillation.

    Layers are copied whole (as in DistilBERT: Sanh et al., 2019, arXiv:1910.01108). Of the word
    pieces, those used by `texts` and all single characters are kept, so that any word can still be tokenised.

    Raises UsageError for a layer that does not exist, and for an unsupported architecture or tokeniser.
    """
    encoder, settings = Encoder.open(encoder), settings or ShrinkSettings()
    check_replaceable(out)
    config = copy.deepcopy(encoder.config)
    model, new = encoder.load_telling(AutoModel)
    tensors = {name: value for name, value in model.state_dict().items() if name not in new}
    before = config.vocab_size, _parameters(tensors)
    if settings.layers:
        tensors = _keep_layers(tensors, settings.layers, config)
    if settings.intermediate_size is not None:
        tensors = _narrow(tensors, settings.intermediate_size, config)
    tokenizer = encoder.tokenizer.backend_tokenizer
    if texts is not None:
        tokenizer, kept = _keep_pieces(tokenizer, texts, encoder.name)
        tensors[_WORDS] = tensors[_WORDS][kept]
        config.vocab_size = len(kept)
        config.pad_token_id = tokenizer.token_to_id(encoder.tokenizer.pad_token)
    with atomic_folder(out) as folder:
        config.save_pretrained(folder)
        save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
        tokenizer.save(str(folder / "tokenizer.json"))
        for name in _SETTINGS_KEPT:
            if (encoder.folder / name).is_file():
                shutil.copyfile(encoder.folder / name, folder / name)
    return Shrunk((before[0], config.vocab_size), (before[1], _parameters(tensors)))


def _keep_layers(
    tensors: dict[str, torch.Tensor], layers: tuple[int, ...], config: PretrainedConfig
) -> dict[str, torch.Tensor]:
    """The tensors of some layers, renumbered, and those outside the layers."""
    held = {int(match[1]) for name in tensors if (match := BLOCK.search(name))}
    if len(held) != config.num_hidden_layers or not set(layers) <= held:
        raise UsageError(
            f"layers {', '.join(map(str, layers))}: the {config.model_type!r} encoder has"
            f" {len(held)}, numbered from 0"
        )
    place = {layer: number for number, layer in enumerate(layers)}
    kept = {}
    for name, value in tensors.items():
        match = BLOCK.search(name)
        if match is None:
            kept[name] = value
        elif (number := place.get(int(match[1]))) is not None:
            kept[f"{name[: match.start(1)]}{number}{name[match.end(1) :]}"] = value
    config.num_hidden_layers = len(layers)
    return kept


def _narrow(
    tensors: dict[str, torch.Tensor], width: int, config: PretrainedConfig
) -> dict[str, torch.Tensor]:
    """Feed-forward layers of `width` neurons each: those with the greatest input and output weights."""
    first = [name for name in tensors if name.endswith(f"{_INNER}.weight")]
    if not first or width > config.intermediate_size:
        raise UsageError(
            f"intermediate_size {width}: the {config.model_type!r} encoder's is"
            f" {config.intermediate_size}, and only BERT layers can be pruned"
        )
    kept = dict(tensors)
    for name in first:
        stem = name.removesuffix(f"{_INNER}.weight")
        into, back = tensors[name], tensors[f"{stem}{_OUTER}.weight"]
        strength = into.norm(dim=1) * back.norm(dim=0)
        chosen = strength.topk(width).indices.sort().values
        kept[name] = into[chosen]
        kept[f"{stem}{_INNER}.bias"] = tensors[f"{stem}{_INNER}.bias"][chosen]
        kept[f"{stem}{_OUTER}.weight"] = back[:, chosen]
    config.intermediate_size = width
    return kept


def _keep_pieces(tokenizer: Tokenizer, texts: Iterable[str], name: str) -> tuple[Tokenizer, list[int]]:
    """The tokenizer with the word pieces that `texts` use, and the old ids of those kept, in order."""
    described: dict[str, Any] = json.loads(tokenizer.to_str())
    if not isinstance(tokenizer.model, WordPiece):
        raise UsageError(f"encoder {name!r}: only WordPiece vocabularies can be pruned; give no texts")
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    used = {piece for encoding in encodings for piece in encoding.ids}
    vocabulary: dict[str, int] = described["model"]["vocab"]
    special = {token["id"] for token in described["added_tokens"]}
    kept = [
        old
        for piece, old in sorted(vocabulary.items(), key=lambda item: item[1])
        if old in used or old in special or len(piece.removeprefix("##")) == 1
    ]
    number = {old: new for new, old in enumerate(kept)}
    described["model"]["vocab"] = {piece: number[old] for piece, old in vocabulary.items() if old in number}
    for token in described["added_tokens"]:
        token["id"] = number[token["id"]]
    described["truncation"] = described["padding"] = None
    _renumber_template(described.get("post_processor") or {}, number)
    return Tokenizer.from_str(json.dumps(described)), kept


def _renumber_template(processor: dict[str, Any], number: dict[int, int]) -> None:
    """Give the special tokens added around a text their new ids."""
    for token in processor.get("special_tokens", {}).values():
        token["ids"] = [number[old] for old in token["ids"]]
    for side in ("sep", "cls"):  # of BERT's and RoBERTa's post-processors
        if isinstance(processor.get(side), list):
            processor[side][1] = number[processor[side][1]]


def _parameters(tensors: dict[str, torch.Tensor]) -> int:
    return sum(value.numel() for value in tensors.values() if value.is_floating_point())
