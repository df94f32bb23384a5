"""Cells as clean text, and programs' spellings of a missing value."""

import math
import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache, wraps
from typing import TypeVar

# Other line breaks become "\n", so that no two words are joined; other control characters are dropped.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NO_CONTROL = re.compile("[\t\n -~\xa0-\U0010ffff]*")  # matching all is faster than searching for others
_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85]")
# Missing values as written by R, pandas, Excel, PostgreSQL, SAS and Python; compared in lower case.
_MISSING = frozenset(
    {"", "na", "n/a", "#n/a", "<na>", "na_character_", "nan", "nat", "none", "null", "\\n"} | {"-", "--", "."}
)
_LONGEST_ANSWER = 60
_LONGEST_MISSING = max(map(len, _MISSING))


def is_missing(text: str) -> bool:
    """Whether a cell, stripped of blanks, is empty or a program's spelling of a missing value."""
    return len(text) <= _LONGEST_MISSING and text.lower() in _MISSING


_Found = TypeVar("_Found")


def remembered(reader: Callable[[object], _Found]) -> Callable[[object], _Found]:
    """Caches a reader of short values, of which a registry has few distinct ones."""

    @lru_cache(maxsize=1 << 15)
    def of_text(text: str) -> _Found:
        return reader(text)

    @wraps(reader)
    def read(value: object) -> _Found:
        return of_text(value) if type(value) is str and len(value) <= _LONGEST_ANSWER else reader(value)

    return read


def text_of(value: object) -> str | None:
    """Text without control characters and outer blanks; None when it is empty or a missing value.

    Numbers are written out and the items of a list joined by line breaks; any other type is not text.
    """
    if isinstance(value, str):
        # Testing the whole text is several times cheaper than matching it.
        if not value.isprintable() and not _NO_CONTROL.fullmatch(value):
            value = _CONTROL.sub("", _BREAK.sub("\n", value))
        value = value.strip()
        if len(value) <= _LONGEST_MISSING and value.lower() in _MISSING:
            return None
        return value
    if value is None:
        return None
    if isinstance(value, bool | int | float):
        return None if isinstance(value, float) and math.isnan(value) else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        # One level only: a nested list is not text.
        parts = (text_of(item) for item in value if not isinstance(item, list | tuple))
        return "\n".join(part for part in parts if part) or None
    return None
