"""The quarantine file: rejected rows with their reasons and raw fields."""

import json
import re
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from trialtune.errors import DataError
from trialtune.registry.record.row import Row
from trialtune.registry.record.validate import is_nct_id

# Some line readers treat these as line breaks; JSON need not escape them.
_LINE_ENDS = re.compile("[\x85\u2028\u2029]")


class NothingUsable(DataError):
    """A source has no usable row; its quarantine file is kept, because it has the reasons."""


class Quarantine:
    """JSON Lines of rejected rows (file, row, nct_id, reason, raw), written when the block succeeds.

    A run without rejected rows writes no file, and removes that of an earlier run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._handle: IO[str] | None = None

    @property
    def count(self) -> int:
        """The number of rejected rows."""
        return self.reasons.total()

    def add(self, row: Row) -> None:
        """Write one rejected row, and count it under the kind of its first reason."""
        self.reasons[row.kind or "unknown"] += 1
        nct_id = row.raw.get("nct_id")
        entry = {
            "file": row.file,
            "row": row.number,
            "nct_id": nct_id if is_nct_id(nct_id) else None,
            "reason": row.reason,
            "raw": dict(row.raw),
        }
        if self._handle is None:
            self._handle = self._temporary.open("w", encoding="utf-8")
        line = json.dumps(entry, ensure_ascii=False)
        self._handle.write(_LINE_ENDS.sub(lambda end: f"\\u{ord(end[0]):04x}", line) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.close()
        if kind is None and self._handle is None:
            self.path.unlink(missing_ok=True)
        elif self._handle is not None and (kind is None or issubclass(kind, NothingUsable)):
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)
