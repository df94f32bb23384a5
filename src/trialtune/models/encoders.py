"""Find an encoder by name: a folder, a Hugging Face Hub id, or one embedded in a package."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerFast
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

from trialtune.errors import DataError, UsageError
from trialtune.files import folder_digest
from trialtune.models.bundled import PREFIX, embedded_folder

EMBEDDED = f"{PREFIX}minilm-l6"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "model.onnx")

_VOCABULARIES = {
    *("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model"),
    "tokenizer.model",
}


@dataclass(frozen=True)
class Encoder:
    """An encoder that was found: what is read of it is read once. `open` finds it."""

    name: str  # as it was asked for
    location: str  # a folder, or the Hub id that `transformers` loads

    @classmethod
    def open(cls, encoder: "Encoder | Path | str") -> "Encoder":
        """The encoder of a folder, a Hub id, or one embedded in a package, such as `embedded:minilm-l6`.

        Raises UsageError for an unknown name or a missing package, DataError for a folder without
        weights or a damaged embedded file.
        """
        if isinstance(encoder, Encoder):
            return encoder
        name = str(encoder)
        if name.startswith(PREFIX):
            return cls(name, str(embedded_folder(name)))
        folder = Path(name)
        if folder.is_dir():
            held = {file.name for file in folder.iterdir()}
            if "config.json" not in held or held.isdisjoint(_WEIGHTS):
                raise DataError(
                    f"{folder}: not an encoder folder; it needs config.json, model.safetensors and a"
                    " tokeniser"
                )
        elif name.count("/") != 1 or name.startswith((".", "/", "~")) or folder.parent.is_dir():
            raise UsageError(
                f"encoder {name!r}: no such folder; give a folder, a Hub id such as "
                f"'domenicrosati/ClinicalTrialBioBert', or '{EMBEDDED}'"
            )
        return cls(name, name)

    @cached_property
    def digest(self) -> Any:
        """What decides the encoder: its files' checksums when it is a folder, else its id."""
        return folder_digest(Path(self.location)) if Path(self.location).is_dir() else self.location

    @cached_property
    def config(self) -> PretrainedConfig:
        """The configuration of a masked-LM encoder; raises DataError for decoders and other families."""
        config: PretrainedConfig = self._load(AutoConfig)
        if getattr(config, "is_encoder_decoder", False) or type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
            raise DataError(
                f"encoder {self.name!r} is a {config.model_type!r} model, not a masked language model; "
                "choose a BERT-family encoder (BERT, RoBERTa, DistilBERT, ELECTRA, ModernBERT...)"
            )
        return config

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The fast tokenizer; raises DataError when there is none, or none with a mask token."""
        folder = Path(self.location)
        if folder.is_dir() and not any(file.name in _VOCABULARIES for file in folder.iterdir()):
            # transformers would make up a tokenizer that knows no word.
            raise DataError(
                f"{folder}: has no tokeniser (tokenizer.json); copy it from where the model came from"
            )
        tokenizer: PreTrainedTokenizerFast = self._load(AutoTokenizer)
        if not tokenizer.is_fast or tokenizer.mask_token_id is None:
            raise DataError(f"encoder {self.name!r}: its tokeniser must be a fast one with a mask token")
        return tokenizer

    def load(self, auto_class: Any, **options: Any) -> Any:
        """A fresh `auto_class.from_pretrained` of the weights, with errors a user can mend."""
        config = options.pop("config", None) or copy.deepcopy(self.config)
        return self._load(auto_class, config=config, **options)

    def check_length(self, tokens: int) -> None:
        """Raise UsageError when the encoder has fewer positions than `tokens`."""
        # RoBERTa's positions start behind the padding's.
        reserved = 2 if "roberta" in self.config.model_type else 0
        most = getattr(self.config, "max_position_embeddings", tokens) - reserved
        if tokens > most:
            raise UsageError(
                f"{tokens} tokens are more than this encoder's {most} positions; use {most} or fewer"
            )

    def _load(self, auto_class: Any, **options: Any) -> Any:
        try:
            return auto_class.from_pretrained(self.location, **options)
        except (OSError, ValueError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            mend = (
                "is the folder complete?"
                if Path(self.location).is_dir()
                else "is the id right and the network reachable?"
            )
            raise DataError(f"encoder {self.name!r} cannot be loaded ({reason}); {mend}") from error
