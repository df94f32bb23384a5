"""Notes on reading a record, besides its values: columns, unreadable values, the version."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from trialtune.registry.record.aliases import Columns
from trialtune.registry.record.text import text_of

_SHOWN = 60
_Value = TypeVar("_Value")


@dataclass(slots=True)
class Notes:
    """Notes on one record: the table's columns, values by field that could not be read or were guessed."""

    columns: Columns | None = None
    unread: list[tuple[str, str]] = field(default_factory=list)
    guessed: list[tuple[str, str]] = field(default_factory=list)
    version: str | None = None

    def read(self, name: str, reader: Callable[[Any], _Value], value: object) -> _Value | None:
        """The reader's result for the value; a non-empty value without a result is noted."""
        if value is None:
            return None
        found = reader(value)
        if found is None:
            self.unreadable(name, value)
        return found

    def unreadable(self, name: str, value: object) -> None:
        """Note a non-empty value that is invalid for the field."""
        if (text := text_of(value)) is not None:
            self.unread.append((name, shown(text)))


def shown(text: str) -> str:
    """A value for a message: on one line, and shortened when it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
