"""Data files of the Hugging Face Hub, named hf://datasets/OWNER/NAME/FILE as elsewhere (Polars, DuckDB)."""

import re
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, LocalEntryNotFoundError

from trialtune.errors import DataError, UsageError

_FILE = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?/(?P<file>.+)")


def is_hub_file(path: Path | str) -> bool:
    """Whether a data file lies on the Hub."""
    return str(path).startswith("hf:/")


def fetch(path: Path | str) -> Path:
    """The local copy of a Hub file, downloaded unless the cache has it.

    Raises UsageError for a malformed address, DataError when the file is missing or the Hub cannot be
    reached.
    """
    url = "hf://" + str(path).removeprefix("hf:").lstrip("/")  # a Path has lost a slash
    match = _FILE.fullmatch(url)
    if match is None:
        raise UsageError(f"{url}: write it as hf://datasets/OWNER/NAME/FILE")
    try:
        return Path(
            hf_hub_download(match["repo"], match["file"], repo_type="dataset", revision=match["revision"])
        )
    except HFValidationError as error:
        raise UsageError(f"{url}: {error}") from error
    except LocalEntryNotFoundError as error:
        raise DataError(
            f"{url}: not in the cache, and the Hugging Face Hub cannot be reached; check the connection"
            " (and HF_HUB_OFFLINE), or give a downloaded file"
        ) from error
    except (EntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{url}: the Hugging Face Hub does not give it ({reason}); check the name") from error
