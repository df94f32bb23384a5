"""The plot of a comparison over training sizes."""

from matplotlib import rc_context
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from trialtune.evaluation.size_result import SizesResult
from trialtune.reports.colors import COLORS
from trialtune.reports.plots import STYLE, Plot, new_figure

_LOOKS = (
    ("base", "o", "-"),
    ("adapted", "s", "-"),
    ("plum", "^", "--"),
    ("old", "D", "-"),
    ("teal", "v", "-."),
    ("amber", "x", ":"),
)


def plots(result: SizesResult) -> list[Plot]:
    """Macro-F1 against training rows."""
    return [size_curves("sizes", result)]


def size_curves(name: str, result: SizesResult) -> Plot:
    """Macro-F1 of each system against training rows, with 95% intervals over test rows and draws."""
    sizes = [point.rows for point in result.points]
    with rc_context(STYLE):
        figure = new_figure(680, 420)
        axes = figure.add_subplot()
        for place, (system, (color, mark, dash)) in enumerate(zip(result.titles, _LOOKS, strict=False)):
            scores = [point.systems[system] for point in result.points]
            beside = [rows * 1.025 ** (place - 2) for rows in sizes]
            low, high = zip(*(one.intervals.macro_f1 for one in scores), strict=True)
            axes.vlines(beside, low, high, color=COLORS[color], alpha=0.5)
            means = [one.macro_f1 for one in scores]
            title = result.titles[system]
            axes.plot(
                beside, means, color=COLORS[color], marker=mark, linestyle=dash, markersize=5, label=title
            )
        axes.set_xscale("log")
        axes.set_xticks(sizes)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="y")
        axes.set_xlabel("Labelled training rows")
        axes.set_ylabel("Macro-F1")
        figure.legend(loc="outside upper left", ncols=2)
    sentence = (
        f"Macro-F1 on {result.test:,} test rows by the number of training rows of {result.task}, with 95%"
        " intervals."
    )
    return Plot(name, sentence, figure)
