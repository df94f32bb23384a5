"""The file that answers are appended to: one row per answer, synced to disk before it is acknowledged."""

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout

from trialtune.dataset.answers import ANSWER_COLUMNS, NEEDED, STATUSES, Answer, read_answers
from trialtune.dataset.columns import prepared
from trialtune.errors import DataError, UsageError
from trialtune.tasks.task import Task
from trialtune.tasks.text import plain_name

_BOM = b"\xef\xbb\xbf"
_LONGEST_HEADER = 100_000  # bytes


class NotSavedError(DataError):
    """An answer could not be written; the file is unchanged."""


class LabelsFile:
    """A labels file with one writer, this process.

    Opening it takes a lock, moves a truncated last row aside, and reads every answer. Raises UsageError when
    another process holds it, DataError naming the row when it is not a labels file.
    """

    def __init__(
        self, path: Path, task: Task, *, passed: Sequence[str] = (), tell: Callable[[str], None] = print
    ) -> None:
        if path.suffix.lower() != ".csv":
            raise UsageError(f"--out {path}: labels are written as .csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.task = path, task
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise UsageError(
                f"--out {path}: in use by another process; stop that one, or use one file per annotator"
            ) from error
        try:
            self.columns = self._prepare([*ANSWER_COLUMNS, *passed], tell)
            self.answers: list[Answer] = read_labels_file(task, path)
            self._out = path.open("ab", buffering=0)
        except BaseException:
            self._lock.release()
            raise

    def append(self, answers: Sequence[Answer]) -> None:
        """Write answers, all or none; when this returns they are synced to disk.

        Raises NotSavedError when they could not be written.
        """
        rows = "".join(_line(map(answer.cells().get, self.columns)) for answer in answers)
        before = self._size()
        try:
            _write(self._out, rows.encode("utf-8", "replace"))
            os.fsync(self._out.fileno())
        except OSError as error:
            self._out.truncate(before)  # needs no space, so it works on a full disk
            raise NotSavedError(
                f"{self.path}: not saved ({error.strerror}); free some space, then answer again"
            ) from error
        self._known = before + len(rows.encode("utf-8", "replace"))
        self.answers += answers

    def close(self) -> None:
        """Release the file for other processes."""
        self._out.close()
        self._lock.release()

    def _size(self) -> int:
        """The size of the file; raises NotSavedError when another program has changed or replaced it."""
        own = os.fstat(self._out.fileno())
        try:
            there = self.path.stat()
        except FileNotFoundError:
            there = None
        if there is None or there.st_ino != own.st_ino or own.st_size != self._known:
            raise NotSavedError(
                f"{self.path}: not saved, since another program has changed the file; stop trialtune annotate"
                " and start it again to reload the file"
            )
        return own.st_size

    def _prepare(self, columns: Sequence[str], tell: Callable[[str], None]) -> list[str]:
        """Create the file, or repair its end; returns its columns."""
        if not self.path.exists() or not self.path.stat().st_size:
            with self.path.open("wb") as handle:
                handle.write(_line(columns).encode())
                handle.flush()
                os.fsync(handle.fileno())
            _sync_folder(self.path.parent)
            found = [*columns]
        else:
            _check_answers(self.path)
            found = _mend(self.path, tell)
        self._known = self.path.stat().st_size
        return found


def read_labels_file(task: Task, path: Path) -> list[Answer]:
    """The answers of a labels file, in the order in which they were given; raises DataError naming the row.

    The file stays as it is.
    """
    header, rows = _rows(path)
    for number, cells in enumerate(rows, start=1):
        if len(cells) != len(header):
            what = "repeats the header" if cells == header else f"has {len(cells)} cells"
            raise DataError(
                f"{path}, row {number}: {what}, the header {len(header)}; fix the row or delete it"
            )
    columns = {name: [cells[place] for cells in rows] for place, name in enumerate(header)}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String()))
    return read_answers(task, prepared(frame), where=str(path))


def csv_text(path: Path) -> str:
    """The text of a CSV file, with cells of any length; raises DataError when it cannot be read."""
    csv.field_size_limit(1 << 27)
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); save it as CSV UTF-8") from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    text = csv_text(path)
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (csv.Error, ValueError) as error:
        raise DataError(f"{path}: {error}; restore the version saved last, or fix the quotes") from error
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{path}: two columns are named {name!r}; delete one")
    if len(header) == 1 and max(map(header[0].count, ";\t")) > 2:
        raise DataError(f"{path}: its columns are not separated by commas; save it as CSV with commas")
    return header, rows


def _check_answers(path: Path) -> None:
    """Raise DataError when a file's header is not one of answers, before anything is changed in it."""
    with path.open("rb") as handle:
        line = handle.readline(_LONGEST_HEADER).removeprefix(_BOM).decode("utf-8", "replace").strip()
    names = {plain_name(cell.strip(' "')) for cell in re.split("[,;\t]", line)}
    if missing := [name for name in NEEDED if name not in names]:
        raise DataError(
            f"{path}: exists and is not a file of answers: its first line, {line[:80]!r}, has no column"
            f" {', '.join(missing)}; nothing was changed; choose another --out"
        )


def _mend(path: Path, tell: Callable[[str], None]) -> list[str]:
    """Move a truncated last row aside, terminate the last line; returns the columns of the file."""
    content = path.read_bytes()
    whole = _end_of_whole_rows(content)
    rest = content[whole:]
    header = next(csv.reader([content.removeprefix(_BOM).split(b"\n", 1)[0].decode("utf-8", "replace")]), [])
    if not rest:
        return header
    if whole and _is_row(rest, header):
        with path.open("ab") as handle:
            handle.write(b"\n")
        return header
    if not whole or any(_is_row(line, header) for line in rest.splitlines()[1:]):
        row = max(0, len(_rows_of(content[:whole])) - 1) + 1
        raise DataError(f"{path}, row {row}: a quote is never closed; close it")
    aside = path.with_name(f"{path.stem}.torn.txt")
    with aside.open("ab") as handle:
        handle.write(rest + b"\n")
        handle.flush()
        os.fsync(handle.fileno())
    os.truncate(path, whole)
    tell(f"{path}: its last row is incomplete, an answer that was never acknowledged; moved to {aside}")
    return header


def _end_of_whole_rows(content: bytes) -> int:
    """How many bytes belong to complete rows, which end in a line break outside quotes."""
    end = position = quotes = 0
    for line in content.splitlines(keepends=True):
        position += len(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0 and line.endswith(b"\n"):
            end = position
    return end


def _is_row(line: bytes, header: Sequence[str]) -> bool:
    """Whether a line is a complete row of this file."""
    rows = _rows_of(line)
    if len(rows) != 1 or len(rows[0]) != len(header) or "status" not in header:
        return False
    return rows[0][header.index("status")] in STATUSES


def _rows_of(content: bytes) -> list[list[str]]:
    try:
        return [*csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)]
    except (csv.Error, UnicodeDecodeError):
        return []


def _line(cells: Iterable[str | None]) -> str:
    made = io.StringIO()
    plain = [(cell or "").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "") for cell in cells]
    csv.writer(made, lineterminator="\n").writerow(plain)
    return made.getvalue()


def _sync_folder(folder: Path) -> None:
    """Sync a new file's folder entry to disk too, where folders can be opened."""
    with suppress(PermissionError):
        opened = os.open(folder, os.O_RDONLY)
        os.fsync(opened)
        os.close(opened)


def _write(out: io.FileIO, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[out.write(left) :]
