"""The comparison of one task as rows, and the rows as a terminal table, Markdown and CSV."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from trialtune.evaluation.comparison import ComparisonResult
from trialtune.evaluation.intervals import LEVEL, Difference
from trialtune.evaluation.metrics import ClassMetrics
from trialtune.evaluation.verdict import p_text
from trialtune.reports.slices import slice_lines
from trialtune.reports.summary import SPREAD_NOTE, score_text, signed_text, summary_rows

NO_EXAMPLES = "no examples"
NOTE = (
    "p: approximate randomisation, corrected by Holm over the classes, or over micro and macro. Bold with "
    "an arrow: p is below 0.05 and the 95% interval (paired bootstrap over rows and seeds) excludes 0."
)
_MARKDOWN_SPECIAL = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]|~"} | {"<": "&lt;", "&": "&amp;"})


class Scores(NamedTuple):
    """Scores of one system on one row, each 0 to 1; None where the row has no examples."""

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Row:
    """One class or one average: base and adapted side by side, and the F1 difference."""

    name: str
    kind: Literal["class", "average"]
    base: Scores
    adapted: Scores
    support: float
    difference: float | None  # adapted - base
    low: float | None  # 95% interval of the difference; None where it was not computed
    high: float | None
    p: float | None  # corrected for multiple comparisons

    @property
    def empty(self) -> bool:
        """Whether the scored data have no example of the class."""
        return self.base.f1 is None and self.adapted.f1 is None

    @property
    def arrow(self) -> str:
        """▲ or ▼ where both tests find a difference, up or down, else empty."""
        if self.low is None or self.high is None or self.p is None or self.p >= LEVEL:
            return ""
        return "▲" if self.low > 0 else "▼" if self.high < 0 else ""


def comparison_rows(comparison: ComparisonResult) -> list[Row]:
    """One row per class in task order, then the micro, macro, weighted and samples averages."""
    base, adapted = comparison.systems.base, comparison.systems.adapted
    change = comparison.difference
    classes = [
        _row(name, "class", base.per_class[name], adapted.per_class[name], change.per_class.get(name))
        for name in comparison.labels
    ]
    measured = {"micro": change.micro_f1, "macro": change.macro_f1}
    averages = [
        _row(name, "average", before, after, measured.get(name))
        for (name, before), (_, after) in zip(base.averages, adapted.averages, strict=True)
    ]
    return classes + averages


def to_rich(comparison: ComparisonResult) -> Table:
    """The comparison as a terminal table, terse enough for 80 columns: .571 is 0.571, n the support."""
    table = Table(
        title=Text(f"{comparison.task}: base and adapted"),
        caption=Text(NOTE),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    table.add_column("Class", overflow="fold")
    for header in ("Base\nP", "\nR", "\nF1", "Adapted\nP", "\nR", "\nF1", "\nn"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("F1 difference\n95% interval", no_wrap=True)
    table.add_column("p\nHolm", justify="right", no_wrap=True)
    rows = comparison_rows(comparison)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        name = Text(row.name, style="bold" if row.kind == "average" else "")
        scores = ["–" if score is None else _terse(score) for score in (*row.base, *row.adapted)]
        change = Text(_terse_change(row), style=_CHANGE_STYLE[row.arrow])
        last_class = following is not None and row.kind != following.kind
        style = "dim" if row.empty else ""
        chance = chance_text(row).replace("0.", ".").replace(" ", "")
        support = f"{row.support:.0f}"
        table.add_row(name, *scores, support, change, chance, end_section=last_class, style=style)
    return table


def summary_to_rich(comparison: ComparisonResult) -> Table:
    """All systems of the comparison as a terminal table, 80 columns wide at most."""
    table = Table(
        title=Text(f"{comparison.task}: all systems, {comparison.n:,} test rows"),
        caption=Text(SPREAD_NOTE),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("System", overflow="fold")
    for header in ("Micro F1\n95% interval", "Macro F1\n95% interval", "Accuracy", "ECE"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in summary_rows(comparison):
        name = Text(row.title, style="bold" if row.fine_tuned else "")
        scores = [f"{measured.score}\n{measured.limits}" for measured in (row.micro, row.macro)]
        table.add_row(name, *scores, score_text(row.accuracy), score_text(row.ece))
    return table


_CHANGE_STYLE = {"▲": "bold green", "▼": "bold red", "": ""}


def to_markdown(comparison: ComparisonResult) -> str:
    """The comparison as a Markdown document: heading, verdict, table, note."""
    header = ["Class", "Base P", "Base R", "Base F1", "Adapted P", "Adapted R", "Adapted F1", "Support"]
    lines = [
        f"## {escaped(comparison.task)}",
        "",
        escaped(comparison.verdict),
        "",
        *summary_lines(comparison),
        _line([*header, "F1 difference [95% interval]", "p (Holm)"]),
        _line(["---"] + ["---:"] * (len(header) + 1)),
    ]
    for row in comparison_rows(comparison):
        name, *cells = _cells(row)
        change = change_text(row)
        name = f"**{escaped(name)}**" if row.kind == "average" else escaped(name)
        change = f"**{change}**" if row.arrow else change
        lines.append(_line([name, *cells, change, escaped(chance_text(row))]))
    lines += ["", NOTE, ""]
    if topics := comparison.slices.get("topic"):
        lines += ["Scores by topic, adapted, first seed:", "", *slice_lines(topics, "Topic")]
    return "\n".join(lines)


def summary_lines(comparison: ComparisonResult) -> list[str]:
    """The table of all systems as lines of Markdown and an empty one; nothing when there is none."""
    systems = summary_rows(comparison)
    if not systems:
        return []
    header = ["System", "Micro F1 [95% interval]", "Macro F1 [95% interval]", "Accuracy", "ECE", "Seeds"]
    lines = [_line(header), _line(["---"] + ["---:"] * (len(header) - 1))]
    for system in systems:
        scores = [system.micro, system.macro, score_text(system.accuracy), score_text(system.ece)]
        name = f"**{escaped(system.title)}**" if system.fine_tuned else escaped(system.title)
        lines.append(_line([name, *map(str, scores), str(system.seeds)]))
    return [*lines, "", SPREAD_NOTE, ""]


def to_csv(comparison: ComparisonResult) -> str:
    """The comparison as CSV at full precision; cells without a value are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    scores = [f"{system}_{score}" for system in ("base", "adapted") for score in Scores._fields]
    difference = ["f1_difference", "difference_low", "difference_high", "p_holm"]
    writer.writerow(["name", "kind", *scores, "support", *difference])
    for row in comparison_rows(comparison):
        scored = [*row.base, *row.adapted, row.support]
        writer.writerow([row.name, row.kind, *scored, row.difference, row.low, row.high, row.p])
    return out.getvalue()


def count_text(value: float | None) -> str:
    """An integer with thousands separators, an en dash for none."""
    return "–" if value is None else f"{value:,.0f}"


def interval_text(row: Row) -> str:
    """The 95% interval of the difference in brackets, or empty."""
    return "" if row.low is None or row.high is None else f"[{signed_text(row.low)}, {signed_text(row.high)}]"


def chance_text(row: Row) -> str:
    """The corrected p of a row, or empty."""
    return "" if row.p is None else p_text(row.p)


def change_text(row: Row) -> str:
    """Arrow, difference and interval of a row in one string."""
    if row.empty:
        return NO_EXAMPLES
    if row.difference is None:
        return "–"
    return " ".join(part for part in (row.arrow, signed_text(row.difference), interval_text(row)) if part)


def _row(
    name: str,
    kind: Literal["class", "average"],
    base: ClassMetrics,
    adapted: ClassMetrics,
    measured: Difference | None,
) -> Row:
    mean = measured.mean if measured else None
    if mean is None and base.f1 is not None and adapted.f1 is not None:
        mean = adapted.f1 - base.f1
    return Row(
        name=name,
        kind=kind,
        base=Scores(base.precision, base.recall, base.f1),
        adapted=Scores(adapted.precision, adapted.recall, adapted.f1),
        support=adapted.support,
        difference=mean,
        low=measured.low if measured else None,
        high=measured.high if measured else None,
        p=measured.p_holm if measured else None,
    )


def _cells(row: Row) -> list[str]:
    return [row.name, *(score_text(score) for score in (*row.base, *row.adapted)), f"{row.support:,.0f}"]


def _terse(score: float) -> str:
    return f"{score:.3f}".removeprefix("0")[:4]


def _terse_change(row: Row) -> str:
    if row.difference is None:
        return change_text(row)
    # A blank instead of the arrow keeps the signs aligned.
    text = f"{row.arrow or ' '}{signed_text(row.difference)} {interval_text(row).replace(', ', ',')}"
    return text.replace("0.", ".").rstrip()


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """A text as a cell of a Markdown table shows it: on one line, no sign of it taken for markup."""
    return " ".join(text.split()).translate(_MARKDOWN_SPECIAL)


def totals_to_rich(totals: Mapping[str, str]) -> Table:
    """Names and their counts for the terminal, without a frame."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in totals.items():
        table.add_row(name, count)
    return table
