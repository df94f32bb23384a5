"""Data on the Hugging Face Hub: files named hf://datasets/OWNER/NAME/FILE, as in Polars and DuckDB,
and whole data sets, named OWNER/NAME or hf://datasets/OWNER/NAME."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub as hub  # loads its modules lazily

from trialtune.errors import DataError, UsageError

_FILE = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?/(?P<file>.+)")
_DATASET = re.compile(r"(?:hf:/{1,2}datasets/)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)")


def is_hub_file(path: Path | str) -> bool:
    """Whether a data file is on the Hub."""
    return str(path).startswith("hf:/")


def dataset_of(path: Path | str) -> str | None:
    """OWNER/NAME when the path may be a data set on the Hub, else None."""
    match = _DATASET.fullmatch(str(path))
    return match and match[1]


def local_copy(path: Path | str) -> Path:
    """The file itself, or the local copy of one on the Hub; raises as `fetch` does."""
    return fetch(path) if is_hub_file(path) else Path(path)


def fetch(path: Path | str) -> Path:
    """The local copy of a Hub file, downloaded unless the cache has it.

    Raises UsageError for a malformed address, DataError when the file is missing or the Hub cannot be
    reached.
    """
    url = "hf://" + str(path).removeprefix("hf:").lstrip("/")  # pathlib removes a slash
    match = _FILE.fullmatch(url)
    if match is None:
        raise UsageError(f"{url}: write it as hf://datasets/OWNER/NAME/FILE")
    with _explained(url):
        return Path(
            hub.hf_hub_download(match["repo"], match["file"], repo_type="dataset", revision=match["revision"])
        )


def dataset_folder(repo: str, *, suffixes: tuple[str, ...]) -> Path:
    """The folder of a data set's files with these suffixes, downloaded unless the cache has them.

    Raises DataError when the data set is missing, holds no such file, or the Hub cannot be reached.
    """
    wanted = [f"*{suffix}" for suffix in suffixes]
    with _explained(repo, hint="no such file or folder here; "):
        folder = Path(hub.snapshot_download(repo, repo_type="dataset", allow_patterns=wanted))
    if not any(file.is_file() for suffix in suffixes for file in folder.rglob(f"*{suffix}")):
        raise DataError(f"{repo}: this data set of the Hugging Face Hub has no file {', '.join(wanted)}")
    return folder


@contextmanager
def _explained(name: str, hint: str = "") -> Iterator[None]:
    try:
        yield
    except hub.errors.HFValidationError as error:
        raise UsageError(f"{name}: {error}") from error
    except hub.errors.LocalEntryNotFoundError as error:
        raise DataError(
            f"{name}: {hint}not in the cache, and the Hugging Face Hub cannot be reached; check the"
            " connection (and HF_HUB_OFFLINE), or give a downloaded file"
        ) from error
    except (hub.errors.EntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"{name}: {hint}it cannot be fetched from the Hugging Face Hub ({reason}); check the name"
        ) from error
