"""The plots of a labelled registry's page."""

import math
from typing import Any

from matplotlib import rc_context
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trialtune.labelling.summary import LabellingSummary
from trialtune.reports.colors import COLORS
from trialtune.reports.labels import ranked
from trialtune.reports.plots import STYLE, Plot, new_figure, ranked_bars

_LINES = 4  # labels plotted over the years
_LOOKS = (("adapted", "o", "-"), ("old", "s", "--"), ("plum", "^", "-."), ("teal", "D", ":"))
_FEWEST = 20  # trials per year needed for meaningful shares


def plots(summary: LabellingSummary) -> list[Plot]:
    """The number of trials with each label, and the most frequent labels by start year."""
    return [plot for plot in (trials_by_label(summary), shares_by_year(summary)) if plot]


def trials_by_label(summary: LabellingSummary) -> Plot:
    """The number of trials with each label, the most frequent on top."""
    counts = {label.replace("_", " "): count for label, count in ranked(summary).items()}
    with rc_context(STYLE):
        figure = ranked_bars(counts, color="adapted", xlabel="Trials")
    return Plot("labels", "How many trials have each label.", figure)


def shares_by_year(summary: LabellingSummary) -> Plot | None:
    """The share of each start year's trials that has each of the most frequent labels."""
    years = {
        int(year): row for year, row in summary.year.items() if year.isdigit() and row["trials"] >= _FEWEST
    }
    if len(years) < 2:
        return None
    span = range(min(years), max(years) + 1)  # a year without enough trials leaves a gap
    with rc_context(STYLE):
        figure = new_figure(640, 320)
        axes = figure.add_subplot()
        for label, (color, mark, dash) in zip(list(ranked(summary))[:_LINES], _LOOKS, strict=False):
            shares = [row[label] / row["trials"] if (row := years.get(year)) else math.nan for year in span]
            look: Any = {"color": COLORS[color], "marker": mark, "linestyle": dash, "markersize": 4}
            axes.plot(list(span), shares, label=label.replace("_", " "), **look)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        axes.grid(axis="y")
        axes.set_xlabel("Start year")
        figure.legend(loc="outside upper left", ncols=2)
    sentence = f"Share of the trials with each label, by start year; years with at least {_FEWEST} trials."
    return Plot("label-years", sentence, figure)
