"""What reading trials found out beside them, on stderr: columns, values that were not read, ids."""

from collections.abc import Mapping, Sequence
from typing import Any

_USED, _LISTED = 8, 20


def tell_columns(used: Mapping[str, str], unused: Sequence[str]) -> None:
    """Say which columns of a table were used, as which field, and which were not; nothing of no table."""
    from trialtune.console import tell

    if used:
        # A table of AACT is no field: its columns bear its name.
        names = [
            column if field in (column, column.partition(".")[0]) else f"{column} as {field}"
            for column, field in used.items()
        ]
        tell(f"columns used, {len(used):,}: {listed(names, _USED)}")
    if unused:
        tell(f"columns not used, {len(unused):,}: {listed(unused)}")


def tell_values(what: str, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Say of each field how many of its values were met with what, and the most frequent."""
    from trialtune.console import tell

    for field, found in values.items():
        examples = [f"{value!r} ({times:,})" for value, times in found["examples"].items()]
        left = found["count"] - sum(found["examples"].values())
        others = f" and {left:,} others" if left else ""
        several = "value" if found["count"] == 1 else "values"
        tell(f"warning: {found['count']:,} {several} of {field} {what}: {', '.join(examples)}{others}")


def listed(items: Sequence[str], most: int = _LISTED) -> str:
    """The first items, and how many others there are."""
    left = 0 if len(items) == most + 1 else len(items) - most
    return ", ".join(items[: most if left > 0 else None]) + (f" and {left:,} others" if left > 0 else "")
