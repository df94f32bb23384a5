"""Plots of a run, drawn with Matplotlib's object API: inline SVG for the page, PNG for elsewhere."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from trialtune.evaluation.comparison import ComparisonResult
from trialtune.evaluation.intervals import Interval, SystemMetrics
from trialtune.evaluation.mlm import MlmScores, MlmTraining, Scoring
from trialtune.files import atomic_file
from trialtune.reports.colors import COLORS
from trialtune.reports.summary import score_text
from trialtune.reports.tables import NO_EXAMPLES, Row, comparison_rows
from trialtune.reports.training import older_trials

STYLE: Any = {
    "font.size": 12,
    "font.sans-serif": ["DejaVu Sans"],
    "svg.fonttype": "none",  # text as text elements: selectable, and in the page's font
    "svg.hashsalt": "trialtune",  # equal figures get equal ids
    "text.parse_math": False,  # a class name may contain a $
    "text.color": COLORS["ink"],
    "axes.labelcolor": COLORS["muted"],
    "axes.edgecolor": COLORS["line"],
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.unicode_minus": True,
    "grid.color": COLORS["line"],
    "grid.linewidth": 0.8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.color": COLORS["line"],
    "ytick.color": COLORS["line"],
    "xtick.labelcolor": COLORS["muted"],
    "ytick.labelcolor": COLORS["ink"],
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
}
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_PIXELS_PER_INCH = 72  # one SVG unit is then one point of type
_LABEL_LENGTH = 26
_LINE_COLORS = ("adapted", "plum", "amber", "teal", "ink")
_Place = Literal["outside upper left", "outside lower left"]


@dataclass(frozen=True)
class Plot:
    """A figure with a file-safe name and a caption."""

    name: str
    summary: str
    figure: Figure

    def svg(self) -> str:
        """The figure as an <svg> element for a page: no prolog, page colors, unique ids."""
        with rc_context(STYLE):
            text = _render_svg(self.figure)
        text = text[text.index("<svg") :]
        text = re.sub(r"<style\b.*?</style>", "", text, flags=re.DOTALL)
        text = re.sub(r'<svg[^>]*(viewBox="[^"]*")[^>]*>', r"<svg \1>", text, count=1)
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = re.sub(r'(href="|url\()#', rf"\g<1>#{self.name}-", text)
        for name, value in COLORS.items():
            text = text.replace(value, f"var(--{name})")
        return text

    def save_png(self, path: Path) -> None:
        """Write the figure on white at 200 dots per inch."""
        with rc_context(STYLE), atomic_file(path) as temporary:
            no_software = {"Software": None}
            self.figure.savefig(temporary, format="png", dpi=200, facecolor="white", metadata=no_software)


def learning_curves(stage: str, training: MlmTraining) -> list[Plot]:
    """MLM accuracy, loss and perplexity on held-out text against tokens seen: three plots.

    The dashed line is for older trials, if monitored.
    """
    return [
        _learning_curve(f"{stage}-{measure}", measure, title, training.history)
        for measure, title in (
            ("accuracy", "Masked-token accuracy"),
            ("loss", "Loss"),
            ("perplexity", "Perplexity"),
        )
    ]


def adaptation_losses(adaptations: Mapping[str, MlmTraining]) -> Plot:
    """Held-out loss of every adaptation against tokens seen, each with its own color, marker and dash."""
    with rc_context(STYLE):
        figure = new_figure(520, 270 + 11 * len(adaptations))
        axes = figure.add_subplot()
        looks = zip(cycle(_LINE_COLORS), cycle("os^D"), cycle(("-", "--", "-.")), strict=False)
        lines: list[Line2D] = []
        for (color, mark, dash), result in zip(looks, adaptations.values(), strict=False):
            history = result.history
            lines += axes.plot(
                [entry.tokens for entry in history],
                [_finite(entry.loss) for entry in history],
                linestyle=dash,
                marker=mark,
                markevery=max(1, len(history) // 10),
                markersize=5,
                color=COLORS[color],
                linewidth=1.8,
            )
        _token_axes(axes, "Loss on new trials, held out")
        axes.yaxis.set_major_locator(MaxNLocator(5))
        names = [_short(name) for name in adaptations]
        figure.legend(lines, names, loc="outside upper left", ncols=2, handlelength=2.6)
    summary = "Loss on held-out text of new trials against tokens seen, one line for each adaptation."
    return Plot("adaptations-loss", summary, figure)


def class_bars(name: str, comparison: ComparisonResult) -> Plot:
    """F1 of every class, micro and macro, base above adapted, whiskers their 95% intervals."""
    rows = _plotted_rows(comparison)
    with rc_context(STYLE):
        figure, axes = _row_axes([row.name for row in rows])
        for place, row in enumerate(rows):
            if row.empty:
                axes.text(0.01, place, NO_EXAMPLES, va="center", style="italic", color=COLORS["muted"])
                continue
            for system, offset in (("base", -0.19), ("adapted", 0.19)):
                f1 = getattr(row, system).f1
                if f1 is None:
                    continue
                axes.barh(place + offset, f1, height=0.34, color=COLORS[system])
                interval = _interval(getattr(comparison.systems, system), row)
                if interval is not None:
                    axes.hlines(place + offset, *interval, color=COLORS["ink"], linewidth=1.4)
        axes.set_xlim(0, 1)
        axes.set_xlabel("F1, whiskers 95% interval")
        _legend(figure, {"base": "Base", "adapted": "Adapted"})
    return Plot(f"{name}-f1", f"F1 of base and adapted per class, {comparison.task}.", figure)


def class_differences(name: str, comparison: ComparisonResult) -> Plot:
    """Adapted minus base F1 with its paired 95% interval; filled where both tests find a difference."""
    rows = _plotted_rows(comparison)
    with rc_context(STYLE):
        figure, axes = _row_axes([row.name for row in rows])
        axes.axvline(0, color=COLORS["muted"], linewidth=1)
        for place, row in enumerate(rows):
            if row.difference is None:
                axes.text(0, place, f"  {NO_EXAMPLES}", va="center", style="italic", color=COLORS["muted"])
                continue
            color = COLORS["base" if not row.arrow else "adapted" if row.arrow == "▲" else "old"]
            if row.low is not None and row.high is not None:
                axes.hlines(place, row.low, row.high, color=color, linewidth=2)
            face = color if row.arrow else COLORS["paper"]
            axes.plot(row.difference, place, "o", markersize=7, mfc=face, mec=color, mew=1.8)
        reach = max((abs(v) for r in rows for v in (r.low, r.high, r.difference) if v is not None), default=0)
        axes.set_xlim(-1.1 * max(reach, 0.01), 1.1 * max(reach, 0.01))
        axes.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
        axes.xaxis.set_major_formatter(FuncFormatter(_signed_tick))
        axes.set_xlabel("Adapted − base F1, 95% interval")
        _legend(figure, {"adapted": "Adapted better", "old": "Base better", "base": "No clear difference"})
    clear = sum(bool(row.arrow) for row in rows)
    summary = (
        f"Difference in F1 per class, {comparison.task}: {clear} of {len(rows)} are clear by both tests."
    )
    return Plot(f"{name}-difference", summary, figure)


def trials_by_year(years: Mapping[str, Mapping[str, int]]) -> Plot:
    """Trials by start year, {year: {"base": n, "new": n}}, the new ones stacked on the base ones."""
    filled = _whole_range(years)
    with rc_context(STYLE):
        figure = new_figure(640, 250)
        axes = figure.add_subplot()
        base = [filled[year].get("base", 0) for year in filled]
        new = [filled[year].get("new", 0) for year in filled]
        axes.bar(list(filled), base, width=0.8, color=COLORS["base"], label="Base")
        axes.bar(list(filled), new, width=0.8, bottom=base, color=COLORS["adapted"], label="New")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(axis="y")
        axes.set_xlabel("Start year")
        _legend(figure, {"base": "Base trials", "adapted": "New trials"})
    first, last = min(filled), max(filled)
    return Plot("trials-by-year", f"Trials by start year, {first} to {last}: base and new.", figure)


def _learning_curve(
    name: str,
    measure: str,
    title: str,
    history: Sequence[Scoring],
) -> Plot:
    def value(scores: MlmScores) -> float:
        return _finite(getattr(scores, measure))

    tokens = [entry.tokens for entry in history]
    values = [value(entry) for entry in history]
    old = older_trials(history)
    shown = list(values)
    with rc_context(STYLE):
        figure = new_figure(340, 250)
        axes = figure.add_subplot()
        if old:
            forgotten = [value(scores) for _, scores in old]
            shown += forgotten
            seen = [place for place, _ in old]
            ends = [0, len(old) - 1]
            axes.plot(seen, forgotten, "s--", color=COLORS["old"], markevery=ends, ms=5, linewidth=1.5)
            _legend(figure, {"adapted": "New trials", "old": "Older trials"}, place="outside lower left")
        axes.plot(tokens, values, color=COLORS["adapted"], linewidth=2.2)
        line = COLORS["adapted"]
        axes.plot(tokens[0], values[0], "o", markersize=8, mfc=COLORS["paper"], mec=line, mew=2)
        axes.plot(tokens[-1], values[-1], "o", markersize=6, color=line)
        positive = [point for point in shown if point > 0]
        if measure == "perplexity" and positive and max(positive) > 20 * min(positive):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(_large_tick))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.yaxis.set_minor_locator(NullLocator())
            title += " (log scale)"
        else:
            axes.yaxis.set_major_locator(MaxNLocator(5))
        _token_axes(axes, title)
    change = f"{score_text(values[0])} before, {score_text(values[-1])} after"
    return Plot(name, f"{title} on held-out text: {change}.", figure)


def _token_axes(axes: Axes, title: str) -> None:
    """The axes of every curve over tokens."""
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="y")
    axes.tick_params(axis="y", labelcolor=COLORS["muted"])
    axes.margins(x=0.05, y=0.12)
    axes.set_title(title)
    axes.set_xlabel("Tokens seen")


def _render_svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata=_NO_METADATA)
    return out.getvalue()


def new_figure(width: float, height: float) -> Figure:
    inches = (width / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH)
    return Figure(figsize=inches, dpi=_PIXELS_PER_INCH, layout="constrained")


def ranked_bars(counts: Mapping[str, int], *, color: str, xlabel: str) -> Figure:
    """A horizontal bar for each count, in their order from the top; within `rc_context(STYLE)`."""
    figure = new_figure(640, 70 + 24 * len(counts))
    axes = figure.add_subplot()
    axes.barh(range(len(counts)), list(counts.values()), height=0.7, color=COLORS[color])
    axes.set_yticks(range(len(counts)), list(counts))
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="x")
    axes.set_xlabel(xlabel)
    return figure


def _row_axes(names: Sequence[str]) -> tuple[Figure, Axes]:
    """Horizontal rows, the first on top, each with its name at the left."""
    figure = new_figure(480, 84 + 30 * len(names))
    axes = figure.add_subplot()
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.grid(axis="x")
    return figure, axes


def _legend(figure: Figure, names: Mapping[str, str], place: _Place = "outside upper left") -> None:
    handles = [Patch(color=COLORS[key], label=name) for key, name in names.items()]
    figure.legend(handles=handles, loc=place, ncols=3, handlelength=0.9, handleheight=0.9)


def _plotted_rows(comparison: ComparisonResult) -> list[Row]:
    rows = comparison_rows(comparison)
    return [row for row in rows if row.kind == "class" or row.name in ("micro", "macro")]


def _interval(metrics: SystemMetrics, row: Row) -> Interval | None:
    intervals = metrics.intervals
    if row.kind == "class":
        return intervals.per_class.get(row.name)
    return intervals.micro_f1 if row.name == "micro" else intervals.macro_f1


def _whole_range(years: Mapping[str, Mapping[str, int]]) -> dict[int, Mapping[str, int]]:
    numbers = {int(year): counts for year, counts in years.items()}
    return {year: numbers.get(year, {}) for year in range(min(numbers), max(numbers) + 1)}


def _short(name: str) -> str:
    return name if len(name) <= _LABEL_LENGTH else f"{name[: _LABEL_LENGTH - 1]}…"


def _large_tick(value: float, _: int | None) -> str:
    return f"{value:,.0f}" if value < 1e7 else f"{value:.0e}"


def _signed_tick(value: float, _: int | None) -> str:
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan
