"""What is remembered of reading a record beside its values: columns, what could not be read, the version."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from trialtune.registry.record.aliases import Columns
from trialtune.registry.record.text import text_of

_SHOWN = 60
_Value = TypeVar("_Value")


@dataclass(slots=True)
class Notes:
    """Of one record: the table's columns, values by field that could not be read or were guessed at."""

    columns: Columns | None = None
    unread: list[tuple[str, str]] = field(default_factory=list)
    guessed: list[tuple[str, str]] = field(default_factory=list)
    version: str | None = None

    def read(self, name: str, reader: Callable[[Any], _Value], value: object) -> _Value | None:
        """What the reader makes of the value; a value that says something and gives nothing is noted."""
        if value is None:
            return None
        found = reader(value)
        if found is None:
            self.unreadable(name, value)
        return found

    def unreadable(self, name: str, value: object) -> None:
        """Note a value that says something, but nothing that the field knows."""
        if (text := text_of(value)) is not None:
            self.unread.append((name, shown(text)))


def shown(text: str) -> str:
    """A value for a message: on one line, and cut when it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
