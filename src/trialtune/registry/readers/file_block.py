"""Blocks of local files, which other processes read themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialtune.errors import DataError


@dataclass(frozen=True, slots=True)
class FileBlock:
    """Bytes of a file; another process is sent only their offsets, since reading is cheaper than a pipe."""

    path: Path
    offset: int
    length: int
    held: bytes | None = None

    def __bytes__(self) -> bytes:
        """The bytes; raises DataError when the file has been truncated."""
        if self.held is not None:
            return self.held
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            content = file.read(self.length)
        if len(content) < self.length:
            raise DataError(f"{self.path}: the file was truncated while being read; import it again")
        return content

    def __reduce__(self) -> tuple[Any, ...]:
        return FileBlock, (self.path, self.offset, self.length)
