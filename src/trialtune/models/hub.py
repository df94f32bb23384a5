"""The Hugging Face Hub: models fetched as files that cannot run code, and its refusals in words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trialtune.errors import DataError

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_BESIDE = ("*.json", "*.txt", "*.model")  # configuration and tokeniser
_WEIGHTS = ("model.safetensors", "model-*.safetensors")
_OLD_WEIGHTS = ("pytorch_model.bin", "pytorch_model-*.bin")  # fetched where there are no others


def is_repository(name: str) -> bool:
    """Whether the name has the form OWNER/NAME and nothing on this machine is meant by it."""
    return bool(_REPOSITORY.fullmatch(name)) and not name.startswith(".") and not Path(name).parent.is_dir()


def fetch_encoder(name: str) -> Path:
    """The folder of the model OWNER/NAME in the Hub's own cache; raises DataError when it can't be had."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import

    with explained(f"encoder {name!r}: no such folder, and it cannot be fetched from"):
        folder = Path(snapshot_download(name, allow_patterns=[*_BESIDE, *_WEIGHTS], ignore_patterns="*/*"))
        if not any(folder.glob("model*.safetensors")):
            snapshot_download(name, allow_patterns=list(_OLD_WEIGHTS))
    return folder


@contextmanager
def explained(what: str, revision: str | None = None) -> Iterator[None]:
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
