"""The plots of an estimate's page: shares with their intervals, and shares over the years."""

from matplotlib import rc_context
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trialtune.estimation.result import ALL, EstimateResult, Share
from trialtune.reports.colors import COLORS
from trialtune.reports.groups import heading
from trialtune.reports.plots import STYLE, Plot, new_figure

_LINES = 4  # labels plotted over the years
_MOST_GROUPS = 12  # values of a group that a plot has room for
_LOOKS = (("adapted", "o"), ("old", "s"), ("plum", "^"), ("teal", "D"))


def plots(result: EstimateResult) -> list[Plot]:
    """Shares of all trials; differences between groups; shares over the years."""
    return [forest(result), *differences(result), *trends(result)]


def forest(result: EstimateResult) -> Plot:
    """Every share of all trials with its interval, and the share that was predicted."""
    rows = [one for one in result.shares if one.group == ALL and one.share is not None]
    rows.sort(key=lambda one: -(one.share or 0))
    with rc_context(STYLE):
        figure = new_figure(640, 90 + 24 * max(len(rows), 1))
        axes = figure.add_subplot()
        places = range(len(rows))
        axes.hlines(
            places,
            [one.low or 0 for one in rows],
            [one.high or 0 for one in rows],
            color=COLORS["adapted"],
            linewidth=2.5,
        )
        axes.plot(
            [one.share or 0 for one in rows],
            places,
            "o",
            color=COLORS["adapted"],
            markersize=6,
            label="estimated",
        )
        predicted = [
            (one.predicted / one.trials, place) for place, one in enumerate(rows) if one.method != "known"
        ]
        if predicted:
            axes.plot(
                *zip(*predicted, strict=True),
                "|",
                color=COLORS["old"],
                markersize=12,
                markeredgewidth=2,
                label="predicted",
            )
        axes.set_yticks(list(places), [one.label.replace("_", " ") for one in rows])
        axes.invert_yaxis()
        _percent_axis(axes.xaxis)
        axes.grid(axis="x")
        axes.set_xlabel("Share of the trials")
        figure.legend(loc="outside upper left", ncols=2)
    return Plot(
        "shares",
        f"Estimated share of each class with its {result.level:.0%} interval, and the share that was"
        " predicted.",
        figure,
    )


def differences(result: EstimateResult) -> list[Plot]:
    """For each group that was compared: the differences of the classes that differ most clearly."""
    drawn: list[Plot] = []
    for group in dict.fromkeys(one.group for one in result.differences):
        rows = [one for one in result.differences if one.group == group]
        rows.sort(key=lambda one: (one.p_holm, one.p))
        rows = sorted(rows[:_MOST_GROUPS], key=lambda one: -one.difference)
        with rc_context(STYLE):
            figure = new_figure(720, 90 + 24 * len(rows))
            axes = figure.add_subplot()
            for place, one in enumerate(rows):
                color = COLORS["adapted" if one.p_holm < 0.05 else "base"]
                axes.hlines(place, one.low, one.high, color=color, linewidth=2.5)
                axes.plot(one.difference, place, "o", color=color, markersize=6)
            axes.axvline(0, color=COLORS["muted"], linewidth=1)
            names = [f"{one.label.replace('_', ' ')}, {one.value}" for one in rows]
            axes.set_yticks(range(len(rows)), names)
            axes.invert_yaxis()
            axes.xaxis.set_major_locator(MaxNLocator(6))
            axes.xaxis.set_major_formatter(
                FuncFormatter(lambda value, _: f"{100 * value:+.0f}" if value else "0")
            )
            axes.grid(axis="x")
            reference = rows[0].reference or "all others"
            axes.set_xlabel(f"Difference to {reference} in percentage points")
        sentence = (
            f"The clearest differences by {heading(group)}, with {result.level:.0%} intervals; blue: p"
            " below .05"
            " after Holm's correction over the classes."
        )
        drawn.append(Plot(f"differences-{len(drawn)}", sentence, figure))
    return drawn


def trends(result: EstimateResult) -> list[Plot]:
    """For each group of years: the shares of the classes that changed most clearly, with their intervals."""
    drawn: list[Plot] = []
    for group in dict.fromkeys(one.group for one in result.trends):
        clearest = sorted((one for one in result.trends if one.group == group), key=lambda one: one.p)
        labels = [one.label for one in clearest[:_LINES]]
        with rc_context(STYLE):
            figure = new_figure(640, 340)
            axes = figure.add_subplot()
            for place, (label, (color, mark)) in enumerate(zip(labels, _LOOKS, strict=False)):
                rows = _years(result, group, label)
                years = [int(one.value) + 0.12 * (place - 1.5) for one in rows]  # side by side
                shares = [one.share or 0 for one in rows]
                axes.vlines(
                    years,
                    [one.low or 0 for one in rows],
                    [one.high or 0 for one in rows],
                    color=COLORS[color],
                    alpha=0.6,
                )
                axes.plot(
                    years,
                    shares,
                    marker=mark,
                    color=COLORS[color],
                    markersize=5,
                    label=label.replace("_", " "),
                )
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
            axes.set_ylim(bottom=0)
            _percent_axis(axes.yaxis)
            axes.grid(axis="y")
            axes.set_xlabel(heading(group).capitalize())
            figure.legend(loc="outside upper left", ncols=2)
        sentence = (
            f"Shares by {heading(group)} of the classes that changed most clearly, with {result.level:.0%}"
            " intervals."
        )
        drawn.append(Plot(f"trend-{len(drawn)}", sentence, figure))
    return drawn


def _years(result: EstimateResult, group: str, label: str) -> list[Share]:
    return [
        one
        for one in result.shares
        if (one.group, one.label) == (group, label) and one.share is not None and one.value.isdigit()
    ]


def _percent_axis(axis) -> None:  # type: ignore[no-untyped-def]
    axis.set_major_locator(MaxNLocator(6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
