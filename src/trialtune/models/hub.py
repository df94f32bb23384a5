"""The Hugging Face Hub: fetches models without executable files, and explains errors."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trialtune.errors import DataError

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_BESIDE = ("*.json", "*.txt", "*.model")  # configuration and tokeniser
_WEIGHTS = ("model.safetensors", "model-*.safetensors")
ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER = ("adapter_model.safetensors", "mlm_head.safetensors")
#: The files of an adapter folder that are uploaded.
ADAPTER_FILES = (*_BESIDE, *_ADAPTER, "accuracy.log", "README.md")
_OLD_WEIGHTS = ("pytorch_model.bin", "pytorch_model-*.bin")  # fetched where there are no others


def is_repository(name: str) -> bool:
    """Whether the name has the form OWNER/NAME and is not a local path."""
    return bool(_REPOSITORY.fullmatch(name)) and not name.startswith(".") and not Path(name).parent.is_dir()


def fetch_encoder(name: str) -> Path:
    """The folder of the model OWNER/NAME in the Hub's cache; raises DataError when it cannot be fetched."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import

    with explained(f"encoder {name!r}: no such folder, and it cannot be fetched from"):
        folder = Path(snapshot_download(name, allow_patterns=[*_BESIDE, *_WEIGHTS], ignore_patterns="*/*"))
        if not any(folder.glob("model*.safetensors")):
            snapshot_download(name, allow_patterns=list(_OLD_WEIGHTS))
    return folder


def fetch_adapter(name: str) -> Path:
    """The folder of the LoRA adapter OWNER/NAME in the Hub's cache; DataError when it cannot be fetched."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import

    with explained(f"adapter {name!r}: no such folder, and it cannot be fetched from"):
        return Path(snapshot_download(name, allow_patterns=[*_BESIDE, *_ADAPTER], ignore_patterns="*/*"))


@dataclass(frozen=True)
class Upload:
    """What is uploaded from a folder, and how: files by patterns, as a model or a data set."""

    folder: Path
    files: Sequence[str]
    what: str  # "a trialtune classifier"
    repo_type: Literal["model", "dataset"] = "model"

    def send(self, name: str, *, private: bool | None, token: str | None) -> str:
        """Upload as OWNER/NAME; returns its address. Raises DataError when refused."""
        from huggingface_hub import HfApi  # noqa: PLC0415

        api = HfApi(token=token)
        with explained(f"{name}: cannot be uploaded to"):
            made = api.create_repo(name, private=private, repo_type=self.repo_type, exist_ok=True)
            api.upload_folder(
                repo_id=made.repo_id,
                repo_type=self.repo_type,
                folder_path=self.folder,
                allow_patterns=list(self.files),
                ignore_patterns=["checkpoints/*"],
                commit_message=f"Upload {self.what}",
            )
        return str(made)


@contextmanager
def explained(what: str, revision: str | None = None) -> Iterator[None]:
    """Turn errors of the Hub's library into one line with the remedy."""
    from huggingface_hub import errors  # noqa: PLC0415

    # A failed connection raises its HTTP client's error, which differs between versions.
    client_error: type[Exception] = vars(errors)["HTTPError"]
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise DataError(f"{what} the Hugging Face Hub: it has no revision {revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        why = "no such model, or a private one; check the id, or log in with `hf auth login`"
        raise DataError(f"{what} the Hugging Face Hub: {why}") from error
    except errors.HFValidationError as error:
        raise DataError(f"{what} the Hugging Face Hub, whose ids are OWNER/NAME: {_line(error)}") from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, client_error) as error:
        if isinstance(error, errors.HfHubHTTPError):
            remedy = "log in with `hf auth login`, and check the id and that you may write there"
            raise DataError(f"{what} the Hugging Face Hub ({_line(error)}); {remedy}") from error
        remedy = "check the network, and that HF_HUB_OFFLINE is not set"
        raise DataError(f"{what} the Hugging Face Hub, which cannot be reached; {remedy}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{what} the Hugging Face Hub ({_line(error)})") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
