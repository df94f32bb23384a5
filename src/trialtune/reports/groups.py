"""Headings of the groups of trials, and the rows of a group shown in a terminal."""

from collections.abc import Sequence
from typing import TypeVar

_Counts = TypeVar("_Counts")
_LISTED = 12  # values of a group in the terminal; pages and --json have them all
_HEADINGS = {
    "year": "start year",
    "sponsor_class": "class of the lead sponsor",
    "country": "country (a trial counts in each of its countries)",
}


def heading(group: str) -> str:
    """A group's heading."""
    return _HEADINGS.get(group, group.replace("_", " "))


def shown(group: str, rows: Sequence[_Counts]) -> tuple[Sequence[_Counts], str]:
    """The rows shown in a terminal (of years the last, else the first), and a note on the others."""
    if len(rows) == _LISTED + 1:  # instead of a note on one row, show it
        return rows, ""
    rows_shown = rows[-_LISTED:] if group == "year" else rows[:_LISTED]
    left = len(rows) - len(rows_shown)
    return rows_shown, f"and {left:,} {'earlier' if group == 'year' else 'others'}" if left else ""
