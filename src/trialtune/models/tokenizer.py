"""Loads the tokenizer of a model's folder exactly as in its files."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers
from tokenizers.models import Unigram
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import import_protobuf

from trialtune.errors import DataError, UsageError

log = logging.getLogger(__name__)

_FILE = "tokenizer.json"
_PIECES = ("spm.model", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")  # of sentencepiece
_VOCABULARIES = (_FILE, "vocab.txt", "vocab.json", *_PIECES)


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a folder, which treats a literal [MASK] or [SEP] in a text as text.

    Raises DataError when there is none, or it lacks a mask or padding token, UsageError when
    it needs a package that is not installed.
    """
    held = [name for name in _VOCABULARIES if (folder / name).is_file()]
    if not held:
        # transformers would create a tokenizer without a vocabulary.
        raise DataError(f"{folder}: has no tokeniser ({_FILE}); copy it from where the model came from")
    if held[0] in _PIECES and not (find_spec("sentencepiece") and find_spec("google.protobuf")):
        # transformers would mistake the file for another format.
        raise UsageError(
            f"{folder / held[0]}: to read this tokeniser, pip install sentencepiece protobuf; or give the"
            f" {_FILE} converted from it"
        )
    try:
        found: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, split_special_tokens=True
        )
    # The tokenizers library raises no narrower class for an unreadable file.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{folder}: its tokeniser cannot be read ({reason}); copy it again from where the model came from"
        ) from error
    if not found.is_fast or found.mask_token_id is None:
        raise DataError(f"{folder}: its tokeniser must be a fast one with a mask token")
    if found.pad_token_id is None:
        raise DataError(
            f"{folder}: its tokeniser has no padding token; name one of its vocabulary in"
            " tokenizer_config.json (pad_token)"
        )
    _restore_charsmap(found, folder)
    return found


def _restore_charsmap(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Restore sentencepiece's normaliser where transformers' tokenizer class drops it.

    DebertaV2Tokenizer (5.23) does: kg/m², 10⁹/L and ½ then become unknown tokens.
    """
    backend = tokenizer.backend_tokenizer
    if not isinstance(backend.model, Unigram) or _has_charsmap(backend.normalizer):
        return
    if (folder / _FILE).is_file():
        stored = Tokenizer.from_file(str(folder / _FILE)).normalizer
        if not _has_charsmap(stored):
            return
        backend.normalizer = stored
    elif charsmap := _charsmap(folder):
        others = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), *others])
    else:
        return
    log.warning(
        "%s: %s of transformers drops the normaliser in its files (kg/m² becomes kg/m2); it is restored",
        folder,
        type(tokenizer).__name__,
    )


def _has_charsmap(normalizer: Any) -> bool:
    return normalizer is not None and b'"Precompiled"' in normalizer.__getstate__()


def _charsmap(folder: Path) -> bytes:
    file = next((folder / name for name in _PIECES if (folder / name).is_file()), None)
    if file is None:
        return b""
    model: Any = import_protobuf().ModelProto()
    model.ParseFromString(file.read_bytes())
    return bytes(model.normalizer_spec.precompiled_charsmap)
