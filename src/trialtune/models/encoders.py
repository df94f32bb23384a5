"""Find an encoder by name: a folder, a Hugging Face Hub id, or one embedded in a package."""

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


def locate(name: str) -> str:
    """The folder or Hub id that `transformers` loads for `name`.

    Raises UsageError for an unknown name or a missing package, DataError for a folder without
    weights or a damaged embedded file.
    """
    if name.startswith(PREFIX):
        return str(embedded_folder(name))
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file() or not any((folder / file).is_file() for file in _WEIGHTS):
            raise DataError(
                f"{folder}: not an encoder folder; it needs config.json, model.safetensors and a tokeniser"
            )
    elif name.count("/") != 1 or name.startswith((".", "/", "~")) or folder.parent.is_dir():
        raise UsageError(
            f"encoder {name!r}: no such folder; give a folder, a Hub id such as "
            f"'domenicrosati/ClinicalTrialBioBert', or '{EMBEDDED}'"
        )
    return name


def encoder_digest(name: str) -> Any:
    """What decides the encoder of that name: its files' checksums when it is a folder, else the name."""
    return folder_digest(Path(name)) if Path(name).is_dir() else name


def check_length(config: PretrainedConfig, tokens: int) -> None:
    """Raise UsageError when the encoder has fewer positions than `tokens`."""
    reserved = 2 if "roberta" in config.model_type else 0  # its positions start behind the padding's
    most = getattr(config, "max_position_embeddings", tokens) - reserved
    if tokens > most:
        raise UsageError(
            f"{tokens} tokens are more than this encoder's {most} positions; use {most} or fewer"
        )


def load_config(name: str) -> PretrainedConfig:
    """The configuration of a masked-LM encoder; raises DataError for decoders and other families."""
    config: PretrainedConfig = _load(AutoConfig, name)
    if getattr(config, "is_encoder_decoder", False) or type(config) not in MODEL_FOR_MASKED_LM_MAPPING:
        raise DataError(
            f"encoder {name!r} is a {config.model_type!r} model, not a masked language model; "
            "choose a BERT-family encoder (BERT, RoBERTa, DistilBERT, ELECTRA, ModernBERT...)"
        )
    return config


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The fast tokeniser of an encoder; raises DataError when it has none, or none with a mask token."""
    folder = Path(locate(name))
    if folder.is_dir() and not any(file.name in _VOCABULARIES for file in folder.iterdir()):
        # transformers would make up a tokeniser that knows no word.
        raise DataError(
            f"{folder}: has no tokeniser (tokenizer.json); copy it from where the model came from"
        )
    tokenizer: PreTrainedTokenizerFast = _load(AutoTokenizer, name)
    if not tokenizer.is_fast or tokenizer.mask_token_id is None:
        raise DataError(f"encoder {name!r}: its tokeniser must be a fast one with a mask token")
    return tokenizer


def load_model(auto_class: Any, name: str, **options: Any) -> Any:
    """`auto_class.from_pretrained` of an encoder by any of its names, with errors a user can mend."""
    load_config(name)
    return _load(auto_class, name, **options)


def _load(auto_class: Any, name: str, **options: Any) -> Any:
    location = locate(name)
    try:
        return auto_class.from_pretrained(location, **options)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        mend = (
            "is the folder complete?"
            if Path(location).is_dir()
            else "is the id right and the network reachable?"
        )
        raise DataError(f"encoder {name!r} cannot be loaded ({reason}); {mend}") from error
