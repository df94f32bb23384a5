"""Finds a classifier's folder by its name."""

from pathlib import Path

from trialtune.classifier.folder import ClassifierFolder
from trialtune.classifier.hub import fetch_classifier
from trialtune.classifier.shipped import shipped_folder, shipped_names
from trialtune.errors import DataError
from trialtune.models.hub import is_repository


def open_folder(name: str | Path, *, revision: str | None = None) -> ClassifierFolder:
    """A classifier's folder, its weights not read: by a shipped one's name, a path, or a Hub id.

    Looked up in this order; a `Path` is always a folder. Raises DataError.
    """
    if isinstance(name, str) and (shipped := shipped_folder(name)):
        return ClassifierFolder.open(shipped)
    path = Path(name)
    if path.is_dir():
        return ClassifierFolder.open(path)
    if path.is_file():
        raise DataError(f"{name}: is a file; give a classifier's folder")
    if is_repository(str(name)):
        return ClassifierFolder.open(fetch_classifier(str(name), revision=revision))
    raise DataError(
        f"{name}: no such classifier; give one shipped with trialtune"
        f" ({', '.join(shipped_names()) or 'none is installed'}), a folder made by `trialtune"
        " finetune`, or OWNER/NAME on the Hugging Face Hub"
    )
