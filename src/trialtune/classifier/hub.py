"""Classifiers on the Hugging Face Hub: fetched whole or not at all, never with executable files."""

from pathlib import Path

from trialtune.classifier.folder import FILES
from trialtune.errors import DataError
from trialtune.models.hub import Upload, explained
from trialtune.tasks.task import TASK_FILE


def fetch_classifier(name: str, *, revision: str | None = None) -> Path:
    """The folder of the classifier OWNER/NAME in the Hub's own cache; DataError when it cannot be fetched."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import

    with explained(f"classifier {name!r}: no such folder, and it cannot be fetched from", revision):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    if not (folder / TASK_FILE).is_file():
        raise DataError(
            f"{name}: this model on the Hugging Face Hub is not a trialtune classifier (no {TASK_FILE});"
            " check the id, or fine-tune it with `trialtune finetune`"
        )
    return folder


def upload_classifier(folder: Path, name: str, *, private: bool | None, token: str | None) -> str:
    """Upload a classifier folder as OWNER/NAME; returns its address. Raises DataError when refused."""
    return Upload(folder, FILES, "a trialtune classifier").send(name, private=private, token=token)
