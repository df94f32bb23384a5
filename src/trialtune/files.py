"""Atomic writing of files and folders, JSON, checksums."""

import errno
import glob
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trialtune.errors import DataError, UsageError

_MARK = ".trialtune"  # in every folder written by trialtune, which may be replaced
_OURS = {"checkpoints", "step.json"}  # the content of a folder before its first result


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept because writers such as savefig choose their format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    temporary.touch()
    mode = temporary.stat().st_mode
    temporary.unlink()  # some writers need a new path
    try:
        yield temporary
        temporary.chmod(mode)  # from the umask, where the writer made it private
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder next to `path`; it replaces `path` at the end.

    Raises UsageError when `path` holds files not written by trialtune.
    """
    check_replaceable(path)
    path = path.absolute()  # so that "." has a name
    _put_right(path, _is_of_the_dead)
    temporary, old = (path.with_name(f".{path.name}.{os.getpid()}.{kind}") for kind in ("tmp", "old"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    mark = temporary / _MARK
    try:
        write_text(mark, "Written by trialtune; replaced as a whole when it is written again.\n")
        yield temporary
        _share(temporary, mark.stat().st_mode)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def recover(path: Path) -> None:
    """Clean up after a killed `atomic_folder`; only where no other process writes `path`."""
    _put_right(path, lambda left: True)


def _put_right(path: Path, chosen: Callable[[Path], bool]) -> None:
    for old in filter(chosen, path.parent.glob(f".{glob.escape(path.name)}.*.old")):
        if not path.exists():
            old.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    for half in filter(chosen, path.parent.glob(f".{glob.escape(path.name)}.*.tmp")):
        shutil.rmtree(half, ignore_errors=True)


def _is_of_the_dead(left: Path) -> bool:
    """Whether a temporary folder has a name of ours, whose process is gone."""
    import psutil  # noqa: PLC0415 - a text is labelled sooner without it

    process = left.name.rsplit(".", 2)[1]
    return process.isdecimal() and not psutil.pid_exists(int(process))


def _share(folder: Path, mode: int) -> None:
    """Give the files in a folder the mode of the umask: safetensors makes its own private."""
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(mode)


def is_replaced_whole(path: Path) -> bool:
    """Whether `path` is a folder that `atomic_folder` wrote, and will replace with all that is in it."""
    return (path / _MARK).is_file()


def check_replaceable(path: Path, *, inputs: Iterable[Path] = ()) -> None:
    """Check that a folder can be written at `path`, before the work whose result it will hold.

    Raises UsageError when the path holds something that trialtune did not write, or one of
    `inputs`, and PermissionError when it is not writable.
    """
    if path.is_file():
        raise UsageError(f"--out {path}: is a file; give a folder")
    held = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if held - _OURS and _MARK not in held:
        raise UsageError(f"--out {path}: holds files not written by trialtune; give a new or empty folder")
    for read in inputs:
        if read.resolve().is_relative_to(path.resolve()):
            raise UsageError(f"--out {path}: would replace the input {read}; give another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(errno.EACCES, "Permission denied", str(path.parent))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with the same line ends on every system, so that equal texts have equal checksums."""
    path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, atomically."""
    with atomic_file(path) as temporary:
        write_text(temporary, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; raises DataError naming the file when it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); write it again") from error


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes; an unchanged file is read once per process."""
    state = _state_of(path)
    if state not in _digests:
        with path.open("rb") as handle:
            _digests[state] = hashlib.file_digest(handle, "sha256").hexdigest()
    return _digests[state]


class HashedFile(io.RawIOBase):
    """A file read from its beginning; at its end, `sha256_of` has its checksum cached."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = _state_of(path)
        self._file = path.open("rb", buffering=0)
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into a buffer; returns how many, 0 at the end."""
        count = self._file.readinto(buffer)
        self._hash.update(memoryview(buffer)[:count])
        if not count:
            _digests[self._state] = self._hash.hexdigest()
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


_State = tuple[str, int, int]
_digests: dict[_State, str] = {}


def _state_of(path: Path) -> _State:
    """Identifies a file's content: its path, size and modification time."""
    about = path.stat()
    return str(path.resolve()), about.st_size, about.st_mtime_ns


def folder_digest(folder: Path) -> list[tuple[str, str]]:
    """(name, SHA-256) of the weights and settings in a model's folder."""
    kinds = (".json", ".onnx", ".safetensors", ".bin")
    files = sorted(file for file in folder.iterdir() if file.suffix in kinds)
    return [(file.name, sha256_of(file)) for file in files if file.name not in ("step.json", "metrics.json")]


def fingerprint(*values: Any) -> str:
    """Hex SHA-256 of JSON-serializable values and settings: equal ones have equal fingerprints."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn errors in writing files (permissions, space, an existing file) into a DataError."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(
            f"{out}: cannot be written ({error.strerror or error});"
            " check the folder's permissions and free space"
        ) from error
