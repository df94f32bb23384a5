"""A snapshot, one of its trials, or selected rows, for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trialtune.reports.groups import heading, shown

_CELL = 60  # characters of a cell in a table of rows


def description_to_rich(described: Mapping[str, Any]) -> RenderableType:
    """The summary of a snapshot: origin, counts by group, coverage of fields, lengths of texts."""
    trials, origin = described["trials"], described["origin"]
    head = {
        "trials": f"{trials:,}",
        "ids": f"{described['first_id']} to {described['last_id']}",
        "data of": origin.get("data_timestamp", "unknown"),
        "source": origin.get("source", "unknown"),
        "file": f"{described['file_bytes'] / 1e6:,.1f} MB in {described['row_groups']:,} row groups",
    }
    parts: list[RenderableType] = [_pairs(head)]
    for group, counts in described["groups"].items():
        table = _table(f"by {heading(group)}", "trials", "share")
        rows, others = shown(group, list(counts.items()))
        for value, count in rows:
            table.add_row(Text(value), f"{count:,}", _share(count, trials))
        if others:
            table.add_row(others)
        parts += [Text(), table]
    fields = _table("field", "trials", "filled", "median", "95%", "longest")
    for name, count in described["coverage"].items():
        size = described["text_sizes"].get(name)
        lengths = [f"{size[key]:,}" for key in ("median", "p95", "max")] if size else []
        fields.add_row(name, f"{count:,}", _share(count, trials), *lengths)
    return Group(*parts, Text(), fields, Text("lengths in characters, over the trials that have the text"))


def trial_to_rich(trial: Mapping[str, Any]) -> RenderableType:
    """Every filled field of a trial under its name, lists as separate lines."""
    parts: list[RenderableType] = []
    for name, value in trial.items():
        if value is None or value in ("", []):
            continue
        text = "\n".join(f"- {item}" for item in value) if isinstance(value, list) else _text(value)
        short = "\n" not in text and len(text) <= _CELL
        parts.append(Text.assemble((f"{name}: " if short else f"{name}\n", "bold"), text))
    return Group(*parts)


def rows_to_rich(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> RenderableType:
    """Rows as a table; long cells are truncated."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cut(value)) for value in row))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column(first, min_width=24)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _pairs(values: Mapping[str, str]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in values.items():
        table.add_row(name, Text(value))
    return table


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "–"


def _cut(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
