"""Rows of delimited text: CSV, and TSV with or without quotes, robust to unclosed quotes.

Python's csv module reads a stray quote as the start of a cell that may span many rows. Here a row that
cannot be read ends where the next trial begins, so that every trial of a file is read or quarantined.
"""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from trialtune.registry.readers.text import lines
from trialtune.registry.record.validate import NCT_ID_IN_TEXT, is_nct_id

#: Python's own limit (131,072) is below many real fields; a larger field than this is an unclosed quote.
LONGEST_FIELD = 1 << 27

_DELIMITERS = ",\t;|"
# A text may well hold a line such as "NCT01234567, a study of ours, ended": that is not a row.
_FEWEST_TELLING = 4


@dataclass(frozen=True)
class Broken:
    """A row that cannot be read: why, and its text."""

    reason: str
    text: str


Cells = list[str]


class DelimitedRows:
    """The rows of a file, one after another; blank ones are skipped.

    After the first row, `expect` sets how many cells a row has and which holds its NCT id: by that, the
    start of a trial is recognized again after an unclosed quote.
    """

    def __init__(self, text: TextIO, *, tabs: bool) -> None:
        csv.field_size_limit(LONGEST_FIELD)
        self._source = lines(text)
        self._held: deque[str] = deque()
        first = next(self._source, "")
        self.delimiter = "\t" if tabs else max(_DELIMITERS, key=first.count)
        self._held.append(first)
        self._width = self._id_at = -1
        #: Lines of PostgreSQL's text format have escapes instead of quotes.
        self.escaped = False

    def expect(self, width: int, id_at: int) -> None:
        """Set how many cells a row has, and which of them, from 0, is the NCT id."""
        self._width, self._id_at = width, id_at

    def __iter__(self) -> Iterator[Cells | Broken]:
        while (line := self._next()) is not None:
            if not line.strip("\r\n"):
                continue
            if '"' not in line:
                yield self._plain(line)
            else:
                yield self._quoted(line)

    def _next(self) -> str | None:
        if self._held:
            return self._held.popleft() or None
        return next(self._source, None)

    def _peek(self) -> str | None:
        if not self._held:
            self._held.append(next(self._source, ""))
        return self._held[0] or None

    def _plain(self, line: str) -> Cells:
        cells = line.rstrip("\r\n").split(self.delimiter)
        return [unescaped(cell) for cell in cells] if self.escaped else cells

    def _quoted(self, line: str) -> Cells | Broken:
        """A row with quotes: those of its format, spanning as many lines as needed, or literal ones."""
        taken = [line]
        reader = csv.reader(self._feed(taken), delimiter=self.delimiter, strict=True)
        try:
            cells = next(reader)
        except csv.Error as error:
            reason = str(error)
        else:
            if len(taken) == 1 or self._width in (-1, len(cells)):
                return cells
            reason = f"{len(cells)} cells where the header has {self._width}"
        own = self._plain(line)
        if self.delimiter == "\t" and (self._width in (-1, len(own)) or len(taken) == 1):
            # Unquoted formats (the site's old download, PostgreSQL's text): a quote is a literal character.
            self._held.extendleft(reversed(taken[1:]))
            return [_bare(cell) for cell in own]
        return self._set_apart(taken, reason)

    def _feed(self, taken: list[str]) -> Iterator[str]:
        yield taken[0]
        while (line := self._peek()) is not None and not self._begins_trial(line):
            self._next()
            taken.append(line)
            yield line

    def _begins_trial(self, line: str) -> bool:
        """Whether a line is a complete row with an NCT id in its column."""
        if self._width < _FEWEST_TELLING or not NCT_ID_IN_TEXT.search(line):
            return False
        cells = next(csv.reader([line], delimiter=self.delimiter), [])
        if self.delimiter == "\t" and len(cells) != self._width:
            cells = line.split("\t")
        return len(cells) == self._width and is_nct_id(cells[self._id_at])

    def _set_apart(self, taken: list[str], reason: str) -> Broken:
        """The first trial of the lines read, as broken; the following lines are read again."""
        end = 1
        while end < len(taken) and not self._may_begin_trial(taken[end]):
            end += 1
        self._held.extendleft(reversed(taken[end:]))
        return Broken(reason, "".join(taken[:end]))

    def _may_begin_trial(self, line: str) -> bool:
        cells = next(csv.reader([line], delimiter=self.delimiter), [])
        return 0 <= self._id_at < len(cells) and is_nct_id(cells[self._id_at])


def _bare(cell: str) -> str:
    """A quoted cell without its quotes, another one unchanged."""
    inner = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def unescaped(cell: str) -> str:
    """A cell of PostgreSQL's text format; \\N is kept, and means null."""
    if "\\" not in cell or cell == "\\N":
        return cell
    pieces, at = [], 0
    while (slash := cell.find("\\", at)) >= 0 and slash + 1 < len(cell):
        pieces += [cell[at:slash], _ESCAPES.get(cell[slash + 1], cell[slash : slash + 2])]
        at = slash + 2
    return "".join([*pieces, cell[at:]])
