"""A step of an experiment: done once, skipped when nothing it depends on has changed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trialtune import __version__
from trialtune.classifier.folder import CARD_FILE
from trialtune.errors import DataError
from trialtune.files import fingerprint, read_json, write_json

RECORD = "step.json"


@dataclass(frozen=True)
class Step:
    """A named unit of work that writes `folder` and returns a JSON-serializable value or result model.

    `inputs` is everything the result depends on: settings, and the keys of earlier steps.
    """

    name: str
    folder: Path
    inputs: tuple[Any, ...]
    build: Callable[[], Any]

    @property
    def key(self) -> str:
        """The key: equal for equal inputs, in every run folder and on every machine."""
        return fingerprint(__version__, self.name, *self.inputs)

    def record(self) -> dict[str, Any] | None:
        """The record of the same step from an earlier run, None when it must be (re)done."""
        try:
            record: dict[str, Any] = read_json(self.folder / RECORD)
            whole = all((self.folder / name).stat().st_size == size for name, size in record["files"].items())
        except (DataError, OSError, KeyError):
            return None
        return record if whole and record["key"] == self.key else None

    def run(self, tell: Callable[[str], None]) -> dict[str, Any]:
        """Do the work unless it is done; returns the record: `result`, `seconds`, `files`."""
        if record := self.record():
            tell(f"{self.name}: done before")
            return record
        tell(f"{self.name} ...")
        started = time.perf_counter()
        (self.folder / RECORD).unlink(missing_ok=True)
        result = self.build()
        # A classifier's card is rewritten when its comparison is done.
        files = [file for file in self.folder.rglob("*") if file.is_file() and file.name != CARD_FILE]
        record = {
            "key": self.key,
            "result": result.model_dump(mode="json") if isinstance(result, BaseModel) else result,
            "seconds": round(time.perf_counter() - started, 1),
            "files": {str(file.relative_to(self.folder)): file.stat().st_size for file in sorted(files)},
        }
        write_json(self.folder / RECORD, record)
        tell(f"{self.name}: {record['seconds']:.0f} s")
        return record
