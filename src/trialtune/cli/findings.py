"""Findings from reading trials, on stderr: columns, unreadable values, ids."""

from collections.abc import Mapping, Sequence
from typing import Any

_USED, _LISTED = 8, 20


def tell_columns(used: Mapping[str, str], unused: Sequence[str]) -> None:
    """Report which columns of a table were used, as which field, and which were not."""
    from trialtune.console import tell

    if used:
        # An AACT table is not a field: its columns are prefixed with its name.
        names = [
            column if field in (column, column.partition(".")[0]) else f"{column} as {field}"
            for column, field in used.items()
        ]
        tell(f"columns used, {len(used):,}: {listed(names, _USED)}")
    if unused:
        tell(f"columns not used, {len(unused):,}: {listed(unused)}")


def tell_values(what: str, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Report for each field how many of its values had a problem, and the most frequent."""
    from trialtune.console import tell

    for field, found in values.items():
        examples = [f"{value!r} ({times:,})" for value, times in found["examples"].items()]
        left = found["count"] - sum(found["examples"].values())
        others = f" and {left:,} others" if left else ""
        several = "value" if found["count"] == 1 else "values"
        tell(f"warning: {found['count']:,} {several} of {field} {what}: {', '.join(examples)}{others}")


def listed(items: Sequence[str], most: int = _LISTED) -> str:
    """The first items, and the number of others."""
    left = 0 if len(items) == most + 1 else len(items) - most
    return ", ".join(items[: most if left > 0 else None]) + (f" and {left:,} others" if left > 0 else "")
