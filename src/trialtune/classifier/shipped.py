"""The classifiers shipped with the installation, by name."""

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialtune.classifier.folder import TRAINING_FILE
from trialtune.errors import DataError
from trialtune.files import read_json, sha256_of

log = logging.getLogger(__name__)

PACKAGE, SUMS = "trialtune_models", "SHA256SUMS"
_REMEDY = "reinstall it: pip install --force-reinstall trialtune"


@dataclass(frozen=True)
class Shipped:
    """A classifier shipped with the installation."""

    name: str
    folder: Path
    about: dict[str, Any]  # how it was trained and scored

    @property
    def megabytes(self) -> float:
        """Its size on disk."""
        return sum(file.stat().st_size for file in self.folder.iterdir()) / 1e6


def shipped_names() -> list[str]:
    """The names of the shipped classifiers; [] where their package is missing."""
    return sorted(_folders())


def shipped_folder(name: str) -> Path | None:
    """The folder of a shipped classifier, whole; None for any other name.

    Raises DataError when a file of it is missing or damaged.
    """
    folder = _folders().get(name)
    if folder is None:
        return None
    if Path(name).is_dir():
        log.warning("%s: using the shipped classifier; for the folder of that name give ./%s", name, name)
    check_sums(folder)
    return folder


def list_shipped() -> list[Shipped]:
    """All of them; raises as `shipped_folder` does."""
    folders = _folders()
    for folder in folders.values():
        check_sums(folder)
    return [
        Shipped(name, folder, read_json(folder / "about.json")) for name, folder in sorted(folders.items())
    ]


def check_sums(folder: Path) -> None:
    """Compare each file of a folder with its checksum; raises DataError naming the first that differs."""
    sums = folder / SUMS
    if not sums.is_file():
        raise DataError(f"{folder}: has no {SUMS}; {_REMEDY}")
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, _, file = line.partition("  ")
        path = folder / file
        if not path.is_file():
            raise DataError(f"{path}: is missing; {_REMEDY}")
        if sha256_of(path) != expected:
            raise DataError(f"{path}: is damaged, its checksum differs from {SUMS}; {_REMEDY}")


def write_sums(folder: Path) -> None:
    """Write the checksums of a folder's files, in `sha256sum` format."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name != SUMS)
    (folder / SUMS).write_text("".join(f"{sha256_of(file)}  {file.name}\n" for file in files))


def models_version() -> str | None:
    """The version of the package of shipped classifiers; None where it is missing."""
    if _home() is None:
        return None
    import trialtune_models  # noqa: PLC0415 - it may be missing

    return str(trialtune_models.__version__)


def shipped_version(folder: Path) -> str | None:
    """The version of the package that a classifier's folder belongs to; None for any other folder."""
    return models_version() if _home() in folder.resolve().parents else None


def _folders() -> dict[str, Path]:
    """The folders of the package, by the names of their classifiers; none where it is missing."""
    home = _home()
    return {file.parent.name: file.parent for file in home.glob(f"*/{TRAINING_FILE}")} if home else {}


def _home() -> Path | None:
    found = importlib.util.find_spec(PACKAGE)
    return Path(found.origin).resolve().parent if found and found.origin else None
