"""Findings from reading a source besides its trials: columns, unreadable values, warnings."""

from collections import Counter
from dataclasses import dataclass, field

from trialtune.registry.record.aliases import Columns
from trialtune.registry.record.notes import Notes

_KEPT = 20  # distinct values of a field, the first ones
_SHOWN = 5


@dataclass
class Values:
    """Values of one field: their number, and the first distinct ones with their counts."""

    count: int = 0
    examples: Counter[str] = field(default_factory=Counter)

    def add(self, value: str, times: int = 1) -> None:
        """Count a value."""
        self.count += times
        if value in self.examples or len(self.examples) < _KEPT:
            self.examples[value] += times

    def as_dict(self) -> dict[str, object]:
        """The count and the most frequent values."""
        return {"count": self.count, "examples": dict(self.examples.most_common(_SHOWN))}


@dataclass
class Findings:
    """Findings on a source: columns used (column -> field) and not, values unread or guessed, warnings."""

    used: dict[str, str] = field(default_factory=dict)
    unused: dict[str, None] = field(default_factory=dict)
    unread: dict[str, Values] = field(default_factory=dict)
    guessed: dict[str, Values] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set, repr=False)

    def warn(self, text: str) -> None:
        """Add a warning, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def add(self, notes: Notes) -> None:
        """Add the notes of one record."""
        if notes.columns is not None and id(notes.columns) not in self._seen:
            self._seen.add(id(notes.columns))
            self.add_columns(notes.columns)
        for found, kept in ((notes.unread, self.unread), (notes.guessed, self.guessed)):
            for name, value in found:
                kept.setdefault(name, Values()).add(value)

    def add_columns(self, columns: Columns) -> None:
        """Add a table's columns."""
        self.used.update({column: name for name, column in columns.used.items()})
        self.unused.update(dict.fromkeys(columns.unused))

    def merge(self, other: "Findings") -> None:
        """Merge another process's findings."""
        self.used.update(other.used)
        self.unused.update(other.unused)
        for theirs, ours in ((other.unread, self.unread), (other.guessed, self.guessed)):
            for name, values in theirs.items():
                kept = ours.setdefault(name, Values())
                known = values.examples.total()
                for value, times in values.examples.items():
                    kept.add(value, times)
                kept.count += values.count - known
        for text in other.warnings:
            self.warn(text)

    @property
    def columns_not_used(self) -> list[str]:
        """Columns that no row used, in the order seen."""
        return [name for name in self.unused if name not in self.used]
