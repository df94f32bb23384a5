"""Writing files so that a reader never sees half of one."""

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

_MARK = ".trialtune"  # in every folder that we write and may therefore replace
_OURS = {"checkpoints", "step.json"}  # what stands in a folder before its first result


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays the same because writers such as savefig choose their format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    temporary.touch()
    mode = temporary.stat().st_mode
    temporary.unlink()  # some writers want a new name
    try:
        yield temporary
        temporary.chmod(mode)  # that of the umask, where the writer made it private
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; it takes the place of `path` at the end.

    Raises UsageError when `path` holds files that are not ours.
    """
    check_replaceable(path)
    path = path.absolute()  # so that "." has a name
    _put_right(path, _is_of_the_dead)
    temporary, old = (path.with_name(f".{path.name}.{os.getpid()}.{kind}") for kind in ("tmp", "old"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    mark = temporary / _MARK
    try:
        write_text(mark, "Made by trialtune; replaced as a whole when it is made again.\n")
        yield temporary
        _share(temporary, mark.stat().st_mode)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def recover(path: Path) -> None:
    """Put right what a killed `atomic_folder` left beside `path`; only where nobody else writes `path`."""
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


def check_replaceable(path: Path, *, inputs: Iterable[Path] = ()) -> None:
    """Make sure that a folder may be written at `path`, before the work whose result it will hold.

    Raises UsageError when something stands there that trialtune did not make or that holds one of
    `inputs`, and PermissionError when nothing can be written there.
    """
    if path.is_file():
        raise UsageError(f"--out {path}: is a file; give a folder")
    held = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if held - _OURS and _MARK not in held:
        raise UsageError(f"--out {path}: holds files that trialtune did not make; give a new or empty folder")
    for read in inputs:
        if read.resolve().is_relative_to(path.resolve()):
            raise UsageError(f"--out {path}: would replace {read}, which is read; give another folder")
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
    """Hex SHA-256 of a file's bytes; those of an unchanged file are read once a process."""
    state = _state_of(path)
    if state not in _digests:
        with path.open("rb") as handle:
            _digests[state] = hashlib.file_digest(handle, "sha256").hexdigest()
    return _digests[state]


class HashedFile(io.RawIOBase):
    """A file to be read from its beginning; at its end, `sha256_of` knows it without reading it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = _state_of(path)
        self._file = path.open("rb", buffering=0)
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into a buffer; returns how many, none at the end."""
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
    """What changes when a file does: its path, size and time of the last change."""
    about = path.stat()
    return str(path.resolve()), about.st_size, about.st_mtime_ns


def folder_digest(folder: Path) -> list[tuple[str, str]]:
    """(name, SHA-256) of the weights and settings that lie in a model's folder."""
    kinds = (".json", ".onnx", ".safetensors", ".bin")
    files = sorted(file for file in folder.iterdir() if file.suffix in kinds)
    return [(file.name, sha256_of(file)) for file in files if file.name not in ("step.json", "metrics.json")]


def fingerprint(*values: Any) -> str:
    """Hex SHA-256 of JSON-able values and settings: equal ones have equal fingerprints."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Say in words what keeps files from being written: no permission, no space, a file in the way."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(
            f"{out}: cannot be written ({error.strerror or error});"
            " check the folder's permissions and free space"
        ) from error
