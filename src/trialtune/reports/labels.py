"""What `apply` found in a snapshot: a table for the terminal, a page with plots."""

import math
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

_LINES = 4  # labels drawn over the years
_LOOKS = (("adapted", "o", "-"), ("old", "s", "--"), ("plum", "^", "-."), ("teal", "D", ":"))
_FEWEST = 20  # trials a year needs before shares of it mean something
_TOTALS = {
    "trials": "trials in the snapshot",
    "without_text": "without such a text",
    "labelled": "labelled",
    "distinct_texts": "distinct texts",
    "reused": "known from before",
    "scored": "scored now",
    "new": "trials new",
    "changed": "with another text",
    "unchanged": "unchanged",
    "gone": "gone",
    "needs_review": "need review",
}


def write_labels_page(summary: Mapping[str, Any], path: Path) -> None:
    """Write the summary of an `apply` as one page that works without a network."""
    write_page(
        path,
        "labels.html",
        summary=summary,
        totals=_totals(summary),
        labels=_ranked(summary),
        groups={"start year": summary["year"], "phase": _common_first(summary["phase"])},
        plots=[plot for plot in (trials_by_label(summary), shares_by_year(summary)) if plot],
    )


def labels_to_rich(summary: Mapping[str, Any]) -> RenderableType:
    """The summary of an `apply` for the terminal, or of a dry run, which has no labels yet."""
    parts: list[RenderableType] = [totals_to_rich(_totals(summary))]
    if "label" in summary:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        table.add_column("label", min_width=24)
        table.add_column("trials", justify="right")
        table.add_column("share", justify="right")
        for label, given in _ranked(summary).items():
            table.add_row(Text(label), f"{given:,}", f"{given / summary['labelled']:.1%}")
        parts += [Text(), table]
    return Group(*parts)


def trials_by_label(summary: Mapping[str, Any]) -> Plot:
    """How many trials each label was given to, the most frequent on top."""
    counts = {label.replace("_", " "): count for label, count in _ranked(summary).items()}
    with rc_context(STYLE):
        figure = ranked_bars(counts, color="adapted", xlabel="Trials")
    return Plot("labels", "How many trials have each label.", figure)


def shares_by_year(summary: Mapping[str, Any]) -> Plot | None:
    """The share of each start year's trials that has each of the most frequent labels."""
    years = {
        int(year): row for year, row in summary["year"].items() if year.isdigit() and row["trials"] >= _FEWEST
    }
    if len(years) < 2:
        return None
    span = range(min(years), max(years) + 1)  # a year without enough trials leaves a gap
    with rc_context(STYLE):
        figure = new_figure(640, 320)
        axes = figure.add_subplot()
        for label, (color, mark, dash) in zip(list(_ranked(summary))[:_LINES], _LOOKS, strict=False):
            shares = [row[label] / row["trials"] if (row := years.get(year)) else math.nan for year in span]
            look: Any = {"color": COLORS[color], "marker": mark, "linestyle": dash, "markersize": 4}
            axes.plot(list(span), shares, label=label.replace("_", " "), **look)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        axes.grid(axis="y")
        axes.set_xlabel("Start year")
        figure.legend(loc="outside upper left", ncols=2)
    sentence = f"Share of the trials with each label, by start year; years of {_FEWEST} trials and more."
    return Plot("label-years", sentence, figure)


def _totals(summary: Mapping[str, Any]) -> dict[str, str]:
    return {told: f"{summary[name]:,}" for name, told in _TOTALS.items() if name in summary}


def _ranked(summary: Mapping[str, Any]) -> dict[str, int]:
    return dict(sorted(summary["label"].items(), key=lambda item: -item[1]))


def _common_first(rows: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, int]]:
    return dict(sorted(rows.items(), key=lambda item: (-item[1]["trials"], item[0])))
