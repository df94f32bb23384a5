"""What changed between two states of the registry: a table for the terminal, a page with plots."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.ticker import FuncFormatter, MaxNLocator
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trialtune.reports.colors import COLORS
from trialtune.reports.pages import write_page
from trialtune.reports.plots import STYLE, Plot, new_figure, ranked_bars
from trialtune.reports.tables import totals_to_rich

_KINDS = {"new": "adapted", "changed": "base", "removed": "old"}  # and the colors they are drawn in
_LISTED = 12  # values of a group in the terminal; the page has them all
_FAR = 0.001  # share of the changes that may lie off the plot at either end: mistyped start years
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
        groups={group: _ordered(group, counts) for group, counts in summary["groups"].items()},
        plots=[plot for plot in (changes_by_year(summary), fields_changed(summary)) if plot],
    )


def diff_to_rich(summary: Mapping[str, Any]) -> RenderableType:
    """A diff's summary for the terminal: totals, then counts by year, phase and status."""
    parts: list[RenderableType] = [totals_to_rich(_totals(summary))]
    for group, counts in summary["groups"].items():
        if not counts:
            continue
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        table.add_column(f"by {'start year' if group == 'year' else group}", min_width=24)
        for kind in _told(summary):
            table.add_column(kind, justify="right", min_width=9)
        rows = _ordered(group, counts)
        shown = rows[-_LISTED:] if group == "year" else rows[:_LISTED]
        for value, row in shown:
            table.add_row(Text(value), *(f"{row[kind]:,}" for kind in _told(summary)))
        if len(rows) > len(shown):
            table.add_row(f"and {len(rows) - len(shown)} {'earlier' if group == 'year' else 'rarer'}")
        parts += [Text(), table]
    fields = summary["changed_fields"]
    if fields:
        parts += [Text(), Text("changed fields: " + ", ".join(f"{name} {n:,}" for name, n in fields.items()))]
    return Group(*parts)


def changes_by_year(summary: Mapping[str, Any]) -> Plot | None:
    """New and changed trials by start year upwards, removed ones downwards; None without a start year."""
    years = {int(year): row for year, row in summary["groups"]["year"].items() if year.isdigit()}
    if not years:
        return None
    low, high = _core(years)
    shown = {year: years.get(year, dict.fromkeys(_KINDS, 0)) for year in range(low, high + 1)}
    with rc_context(STYLE):
        figure = new_figure(640, 280)
        axes = figure.add_subplot()
        new = [row["new"] for row in shown.values()]
        axes.bar(list(shown), new, width=0.8, color=COLORS["adapted"], label="New")
        changed = [row.get("changed", 0) for row in shown.values()]
        axes.bar(list(shown), changed, width=0.8, bottom=new, color=COLORS["base"], label="Changed")
        removed = [-row.get("removed", 0) for row in shown.values()]
        axes.bar(list(shown), removed, width=0.8, color=COLORS["old"], label="Removed")
        axes.axhline(0, color=COLORS["muted"], linewidth=1)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
        axes.grid(axis="y")
        axes.set_xlabel("Start year")
        figure.legend(loc="outside upper left", ncols=3, handlelength=0.9, handleheight=0.9)
    return Plot("diff-years", f"Trials that changed by start year, {low} to {high}.", figure)


def fields_changed(summary: Mapping[str, Any]) -> Plot | None:
    """How many trials each field changed in, most often first; None when none did."""
    fields = summary["changed_fields"]
    if not fields:
        return None
    with rc_context(STYLE):
        figure = ranked_bars(fields, color="base", xlabel="Trials in which the field changed")
    return Plot("diff-fields", "How many trials each field changed in.", figure)


def _told(summary: Mapping[str, Any]) -> list[str]:
    """The kinds that are counted by group: a list of ids tells of new trials only."""
    return ["new"] if summary["changed"] is None else list(_KINDS)


def _totals(summary: Mapping[str, Any]) -> dict[str, str]:
    names = ("total", "base", "new", "changed", "unchanged", "removed")
    totals = {name: _UNKNOWN if summary[name] is None else f"{summary[name]:,}" for name in names}
    if summary["merged"]:
        totals["of these merged"] = f"{len(summary['merged']):,}"
    if summary["bad_ids"]:
        totals["bad ids in the base"] = f"{summary['bad_ids']:,}"
    return totals


def _ordered(group: str, counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, Mapping[str, int]]]:
    """Years in their order, other values with the most changes first."""
    if group == "year":
        return sorted(counts.items())
    return sorted(counts.items(), key=lambda item: (-sum(item[1].values()), item[0]))


def _core(years: Mapping[int, Mapping[str, int]]) -> tuple[int, int]:
    """First and last year without the few changes far off at either end."""
    counts = {year: sum(years[year].values()) for year in sorted(years)}
    far, ends = _FAR * sum(counts.values()), []
    for order in (list(counts), list(reversed(counts))):
        passed = 0.0
        for year in order:
            passed += counts[year]
            if passed > far:
                ends.append(year)
                break
    return ends[0], ends[1]
