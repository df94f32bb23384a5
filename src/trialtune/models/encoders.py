"""Finds an encoder by name (a folder, a Hub id, one embedded in a package), and loads it completely."""

import copy
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

from trialtune.errors import DataError, UsageError
from trialtune.files import folder_digest, read_json
from trialtune.models.bundled import EMBEDDED, PREFIX, embedded_folder
from trialtune.models.hub import fetch_encoder, is_repository
from trialtune.models.tokenizer import read_tokenizer
from trialtune.models.weights import read_tensors, weights_file

log = logging.getLogger(__name__)

_GRAPH = "model.onnx"


@dataclass(frozen=True)
class Encoder:
    """An encoder; its files are read once. `open` finds it by name."""

    name: str  # as given
    folder: Path

    @classmethod
    def open(cls, encoder: "Encoder | Path | str") -> "Encoder":
        """The encoder of a folder, a Hub id, or one embedded in a package, such as `embedded:minilm-l6`.

        Raises UsageError for an unknown name or a missing package, DataError for a folder without
        weights, a damaged embedded file or an id that cannot be fetched.
        """
        if isinstance(encoder, Encoder):
            return encoder
        name = str(encoder)
        if name.startswith(PREFIX):
            return cls(name, embedded_folder(name))
        folder = Path(name)
        if not folder.is_dir():
            if not is_repository(name):
                raise UsageError(
                    f"encoder {name!r}: no such folder; give a folder, a Hub id such as "
                    f"'domenicrosati/ClinicalTrialBioBert', or '{EMBEDDED}'"
                )
            folder = fetch_encoder(name)
        held = {file.name for file in folder.iterdir()}
        if "config.json" not in held or not (weights_file(folder) or _GRAPH in held):
            raise DataError(
                f"{name}: not an encoder folder; it needs config.json, model.safetensors and a tokeniser"
            )
        return cls(name, folder)

    @cached_property
    def digest(self) -> list[tuple[str, str]]:
        """Identifies the encoder: its files' checksums."""
        return folder_digest(self.folder)

    @cached_property
    def origin(self) -> str:
        """Its name for other processes: the absolute path of its folder, or its Hub id."""
        named = self.name.startswith(PREFIX) or Path(self.name).is_dir()
        return str(self.folder.resolve()) if named else self.name

    @cached_property
    def config(self) -> PretrainedConfig:
        """The configuration of a masked-LM encoder; raises DataError for decoders and other architectures."""
        described = read_json(self.folder / "config.json")
        try:
            config: PretrainedConfig = AutoConfig.from_pretrained(self.folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(described, dict) and "auto_map" in described:
                raise DataError(
                    f"encoder {self.name!r} needs custom code ({_first(described['auto_map'])}), which"
                    " trialtune does not run; choose an architecture of transformers"
                ) from error
            raise self._unreadable(error) from error
        if getattr(config, "is_encoder_decoder", False) or type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
            raise DataError(
                f"encoder {self.name!r} is a {config.model_type!r} model, not a masked language model; "
                "choose a BERT-family encoder (BERT, RoBERTa, DistilBERT, ELECTRA, ModernBERT...)"
            )
        return config

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The fast tokenizer; raises as `read_tokenizer`, and DataError when it does not fit the encoder."""
        tokenizer = read_tokenizer(self.folder)
        if len(tokenizer) > self.config.vocab_size:
            raise DataError(
                f"encoder {self.name!r}: its tokeniser ({type(tokenizer).__name__} in {self.folder}) has"
                f" {len(tokenizer):,} tokens, its embeddings only {self.config.vocab_size:,}; give the"
                " tokeniser that it was trained with"
            )
        tokenizer.name_or_path = self.name
        return tokenizer

    def load(self, auto_class: Any) -> PreTrainedModel:
        """The encoder as a new model of `auto_class`, complete, its weights in fp32.

        Weights of any type are trained and scored in fp32 or by autocast from it. Raises DataError
        when the files lack a tensor of the encoder, or hold unexpected ones. A missing head is initialized.
        """
        return self.load_telling(auto_class)[0]

    def load_telling(self, auto_class: Any) -> tuple[PreTrainedModel, set[str]]:
        """As `load`; also the newly initialized tensors, drawn by torch's generator."""
        return build_model(auto_class, self.config, read_tensors(self.folder), where=self.name)

    def check_length(self, tokens: int) -> None:
        """Raise UsageError when the encoder has fewer positions than `tokens`."""
        most = self.positions
        if most is not None and tokens > most:
            raise UsageError(
                f"{tokens} tokens are more than this encoder's {most} positions; use {most} or fewer"
            )

    @cached_property
    def positions(self) -> int | None:
        """The maximum number of tokens of a text; None for any number."""
        most: int | None = getattr(self.config, "max_position_embeddings", None)
        for name, table in _skeleton(AutoModel, self.config).named_modules():
            if most and name.endswith("position_embeddings") and isinstance(table, nn.Embedding):
                # A table with a padding position, as RoBERTa's, starts after it.
                padding = -1 if table.padding_idx is None else table.padding_idx
                return min(most, table.num_embeddings - padding - 1)
        return most

    def _unreadable(self, error: Exception) -> DataError:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return DataError(f"encoder {self.name!r} cannot be loaded ({reason}); is its folder complete?")


def build_model(
    auto_class: Any, config: PretrainedConfig, tensors: dict[str, torch.Tensor], *, where: str
) -> tuple[PreTrainedModel, set[str]]:
    """A model of `config` in fp32 with `tensors`, and the names of its newly initialized tensors.

    Only tensors outside the encoder may be new, and its pooler, which masked language models lack.
    Raises DataError naming tensors of the encoder that are missing, left over or of another shape.
    """
    config = copy.deepcopy(config)
    kind = type(_skeleton(auto_class, config))
    try:
        model, report = kind.from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
            output_loading_info=True,
        )
    except (ImportError, ValueError, RuntimeError) as error:
        raise DataError(f"encoder {where!r} cannot be loaded ({str(error).splitlines()[0]})") from error
    model.config.name_or_path = where
    _check_whole(model, report, where)
    return model, report["missing_keys"]


def _skeleton(auto_class: Any, config: PretrainedConfig) -> PreTrainedModel:
    """The model of a configuration, without allocating its weights."""
    with torch.device("meta"):
        model: PreTrainedModel = auto_class.from_config(copy.deepcopy(config))
    return model


def _check_whole(model: PreTrainedModel, report: dict[str, Any], where: str) -> None:
    left = sorted(name for name in report["unexpected_keys"] if _is_inside(model, name))
    if any(".lora_" in name for name in left):
        raise DataError(
            f"encoder {where!r}: its files hold an adapter besides the weights ({_listed(left)});"
            " merge it first, by PEFT's merge_and_unload, or give it with --adapter"
        )
    if lacking := sorted(name for name in report["missing_keys"] if _is_inside(model, name)):
        raise DataError(
            f"encoder {where!r}: its files lack {_listed(lacking)}, which would be initialized at random;"
            " save the complete model again, or give another encoder"
        )
    if shapes := sorted(report["mismatched_keys"]):
        name, theirs, ours = shapes[0]
        raise DataError(
            f"encoder {where!r}: {name} is {[*theirs]} in its files, but {[*ours]} by its config.json;"
            " the two belong to different models"
        )
    if left:
        raise DataError(
            f"encoder {where!r}: its files hold {_listed(left)}, for which the {model.config.model_type!r}"
            " model of its config.json has no place; the two belong to different models"
        )


def _is_inside(model: PreTrainedModel, name: str) -> bool:
    """Whether a tensor belongs to the encoder, by its name with or without the architecture's prefix.

    A pooler does not: the masked language models that encoders come from have none.
    """
    prefix = f"{model.base_model_prefix}."
    part = name.removeprefix(prefix).partition(".")[0]
    parts = {child for child, _ in model.base_model.named_children()}
    return part != "pooler" and (name.startswith(prefix) or part in parts)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more tensors"


def _first(auto_map: Any) -> str:
    return str(next(iter(auto_map.values()), "auto_map")) if isinstance(auto_map, dict) else str(auto_map)
