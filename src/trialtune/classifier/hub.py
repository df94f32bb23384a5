"""Classifiers of the Hugging Face Hub: fetched as a whole or not at all, never a file that can run code."""

import re
from pathlib import Path

from trialtune.classifier.folder import FILES
from trialtune.errors import DataError

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def is_repository(name: str) -> bool:
    """Whether the name has the form OWNER/NAME and nothing on this machine is meant by it."""
    return bool(_REPOSITORY.fullmatch(name)) and not name.startswith(".") and not Path(name).parent.is_dir()


def fetch_classifier(name: str, *, revision: str | None = None) -> Path:
    """The folder of the classifier OWNER/NAME in the Hub's own cache; DataError when it can't be had."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"classifier {name!r}: no such folder, and it cannot be fetched from the Hugging Face Hub"
            f" ({reason}); check the path or id, the network, and for a private one `hf auth login`"
        ) from error


def upload_classifier(folder: Path, name: str, *, private: bool | None, token: str | None) -> str:
    """Upload a classifier folder as OWNER/NAME; returns its address. Raises DataError when refused."""
    from huggingface_hub import HfApi  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    api = HfApi(token=token)
    try:
        made = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            allow_patterns=list(FILES),
            commit_message="Upload a trialtune classifier",
        )
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"{name}: cannot be uploaded to the Hugging Face Hub ({reason}); log in with `hf auth login`,"
            " and check the id and the network"
        ) from error
    return str(made)
