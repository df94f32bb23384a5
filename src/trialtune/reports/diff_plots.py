"""The plots of a diff's page."""

from collections.abc import Mapping
from typing import Any

from matplotlib import rc_context
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trialtune.reports.colors import COLORS
from trialtune.reports.diff import KINDS
from trialtune.reports.plots import STYLE, Plot, new_figure, ranked_bars

_FAR = 0.001  # share of the changes that may be cut off at either end: mistyped start years


def plots(summary: Mapping[str, Any]) -> list[Plot]:
    """Changes by start year, and the fields that changed."""
    return [plot for plot in (changes_by_year(summary), fields_changed(summary)) if plot]


def changes_by_year(summary: Mapping[str, Any]) -> Plot | None:
    """New and changed trials by start year upwards, removed ones downwards; None without a start year."""
    years = {int(year): row for year, row in summary["groups"]["year"].items() if year.isdigit()}
    if not years:
        return None
    low, high = _core(years)
    shown = {year: years.get(year, dict.fromkeys(KINDS, 0)) for year in range(low, high + 1)}
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
