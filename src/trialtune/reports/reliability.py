"""The reliability diagram: observed frequency against predicted probability."""

from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.ticker import PercentFormatter

from trialtune.evaluation.metrics import ReliabilityBin
from trialtune.reports.colors import COLORS
from trialtune.reports.plots import STYLE, Plot, new_figure

_MARKS = {"base": ("s", "--"), "adapted": ("o", "-")}
_LEAST_AREA, _AREA = 12.0, 160.0  # square points


def reliability_plot(name: str, systems: Mapping[str, Sequence[ReliabilityBin]]) -> Plot:
    """Observed frequency against predicted probability (DeGroot and Fienberg, 1983); the diagonal is perfect.

    `systems` holds the `reliability` of metrics: {"base": bins, "adapted": bins}, or one classifier's
    under any name. The larger a marker, the more predictions in its bin.
    """
    with rc_context(STYLE):
        figure = new_figure(340, 330)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=COLORS["muted"], linewidth=1, linestyle=":", zorder=1)
        for place, (system, bins) in enumerate(systems.items()):
            mark, dash = _MARKS.get(system, ("o", "-"))
            color = COLORS[system if system in _MARKS else "adapted"]
            stated = [one.stated for one in bins]
            observed = [one.observed for one in bins]
            # Square roots: most binary predictions are a certain no, and would hide the rest.
            most = max((one.count for one in bins), default=1) ** 0.5
            areas = [_LEAST_AREA + _AREA * one.count**0.5 / most for one in bins]
            axes.plot(stated, observed, linestyle=dash, color=color, linewidth=1.5, zorder=2 + place)
            axes.scatter(
                stated,
                observed,
                s=areas,
                marker=mark,
                color=color,
                edgecolor=COLORS["paper"],
                label=system.capitalize(),
                zorder=2 + place,
            )
        axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), xlabel="Stated probability")
        axes.set_aspect("equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
        axes.tick_params(axis="both", labelcolor=COLORS["muted"])
        axes.grid()
        axes.spines["bottom"].set_visible(False)
        axes.set_title("Came true")
        if len(systems) > 1:
            figure.legend(loc="outside upper left", ncols=2, markerscale=0.7)
    answers = "; ".join(f"{system} {sum(one.count for one in bins):,}" for system, bins in systems.items())
    return Plot(
        f"{name}-reliability", f"Observed frequency by predicted probability; predictions: {answers}.", figure
    )
