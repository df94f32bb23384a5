"""A diff of two states of the registry: a table for the terminal, a page with plots."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trialtune.reports.groups import heading, shown
from trialtune.reports.pages import plots_of, write_page
from trialtune.reports.tables import totals_to_rich

KINDS = ("new", "changed", "removed")
_UNKNOWN = "–"


def write_diff_page(summary: Mapping[str, Any], path: Path) -> None:
    """Write a diff's summary as one page that works without a network."""
    kinds = _told(summary)
    write_page(
        path,
        "diff.html",
        summary=summary,
        kinds=kinds,
        totals=_totals(summary),
        groups={heading(group): _ordered(group, counts) for group, counts in summary["groups"].items()},
        plots=plots_of("diff_plots", summary),
    )


def diff_to_rich(summary: Mapping[str, Any]) -> RenderableType:
    """A diff's summary for the terminal: totals, then counts by group."""
    parts: list[RenderableType] = [totals_to_rich(_totals(summary))]
    for group, counts in summary["groups"].items():
        if not counts:
            continue
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        table.add_column(f"by {heading(group)}", min_width=24)
        for kind in _told(summary):
            table.add_column(kind, justify="right", min_width=9)
        rows, others = shown(group, _ordered(group, counts))
        for value, row in rows:
            table.add_row(Text(value), *(f"{row[kind]:,}" for kind in _told(summary)))
        if others:
            table.add_row(others)
        parts += [Text(), table]
    fields = summary["changed_fields"]
    if fields:
        parts += [Text(), Text("changed fields: " + ", ".join(f"{name} {n:,}" for name, n in fields.items()))]
    return Group(*parts)


def _told(summary: Mapping[str, Any]) -> list[str]:
    """The kinds of change counted by group: for a list of ids only new trials."""
    return ["new"] if summary["changed"] is None else list(KINDS)


def _totals(summary: Mapping[str, Any]) -> dict[str, str]:
    names = ("total", "base", "new", "changed", "unchanged", "removed")
    totals = {name: _UNKNOWN if summary[name] is None else f"{summary[name]:,}" for name in names}
    if summary["merged"]:
        totals["of these merged"] = f"{len(summary['merged']):,}"
    if summary["bad_ids"]:
        totals["bad ids in the base"] = f"{summary['bad_ids']:,}"
    return totals


def _ordered(group: str, counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, Mapping[str, int]]]:
    """Years in order, other values with the most changes first."""
    if group == "year":
        return sorted(counts.items())
    return sorted(counts.items(), key=lambda item: (-sum(item[1].values()), item[0]))
