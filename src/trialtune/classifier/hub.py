"""Classifiers of the Hugging Face Hub: fetched as a whole or not at all, never a file that can run code."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trialtune.classifier.folder import FILES
from trialtune.errors import DataError
from trialtune.tasks.task import TASK_FILE

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def is_repository(name: str) -> bool:
    """Whether the name has the form OWNER/NAME and nothing on this machine is meant by it."""
    return bool(_REPOSITORY.fullmatch(name)) and not name.startswith(".") and not Path(name).parent.is_dir()


def fetch_classifier(name: str, *, revision: str | None = None) -> Path:
    """The folder of the classifier OWNER/NAME in the Hub's own cache; DataError when it can't be had."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import

    with _explained(f"classifier {name!r}: no such folder, and it cannot be fetched from", revision):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    if not (folder / TASK_FILE).is_file():
        raise DataError(
            f"{name}: that model of the Hugging Face Hub is not a trialtune classifier (no {TASK_FILE});"
            " check the id, or train one on it with `trialtune finetune`"
        )
    return folder


def upload_classifier(folder: Path, name: str, *, private: bool | None, token: str | None) -> str:
    """Upload a classifier folder as OWNER/NAME; returns its address. Raises DataError when refused."""
    from huggingface_hub import HfApi  # noqa: PLC0415

    api = HfApi(token=token)
    with _explained(f"{name}: cannot be uploaded to"):
        made = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            allow_patterns=list(FILES),
            commit_message="Upload a trialtune classifier",
        )
    return str(made)


@contextmanager
def _explained(what: str, revision: str | None = None) -> Iterator[None]:
    """Turn whatever the Hub's library raises into one line with the mend."""
    from huggingface_hub import errors  # noqa: PLC0415

    # A connection's failure comes as the error of its HTTP client, which is another in another version.
    client_error: type[Exception] = vars(errors)["HTTPError"]
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise DataError(f"{what} the Hugging Face Hub: it has no revision {revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        why = "no such model, or a private one; check the id, and for a private one `hf auth login`"
        raise DataError(f"{what} the Hugging Face Hub: {why}") from error
    except errors.HFValidationError as error:
        raise DataError(f"{what} the Hugging Face Hub, whose ids are OWNER/NAME: {_line(error)}") from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, client_error) as error:
        if isinstance(error, errors.HfHubHTTPError):
            mend = "log in with `hf auth login`, and check the id and that you may write there"
            raise DataError(f"{what} the Hugging Face Hub ({_line(error)}); {mend}") from error
        mend = "check the network, and that HF_HUB_OFFLINE is not set"
        raise DataError(f"{what} the Hugging Face Hub, which cannot be reached; {mend}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{what} the Hugging Face Hub ({_line(error)})") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
