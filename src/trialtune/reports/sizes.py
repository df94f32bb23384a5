"""A comparison over training sizes: its tables, its plot, its summaries."""

from pathlib import Path

import polars as pl
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trialtune.evaluation.size_result import SizesResult
from trialtune.files import atomic_file
from trialtune.reports.pages import plots_of, write_page
from trialtune.reports.summary import score_text


def write_sizes(result: SizesResult, out: Path) -> None:
    """Write `sizes.csv` and the page `index.html`."""
    with atomic_file(out / "sizes.csv") as path:
        size_table(result).write_csv(path)
    write_page(
        out / "index.html",
        "sizes.html",
        result=result,
        totals={"test rows": f"{result.test:,}", "draws of each size": f"{result.points[0].draws:,}"},
        plots=plots_of("size_plots", result),
    )


def sizes_to_rich(result: SizesResult) -> RenderableType:
    """Macro-F1 by size and system, and the summaries, for the terminal."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("labels", justify="right")
    for title in result.titles.values():
        table.add_column(title, justify="right")
    for point in result.points:
        scores = [point.systems[name] for name in result.titles]
        cells = [
            f"{score_text(one.macro_f1)} [{score_text(low)}, {score_text(high)}]"
            for one in scores
            for low, high in [one.intervals.macro_f1]
        ]
        table.add_row(f"{point.rows:,}", *cells)
    return Group(table, *(Text(verdict) for verdict in result.verdicts.values()))


def size_table(result: SizesResult) -> pl.DataFrame:
    """One row per size and system: scores with bounds, and the difference in macro-F1 to the base."""
    return pl.DataFrame(
        [
            {
                "labels": point.rows,
                "system": name,
                "draws": point.draws,
                "micro_f1": scores.micro_f1,
                "macro_f1": scores.macro_f1,
                "macro_f1_low": scores.intervals.macro_f1.low,
                "macro_f1_high": scores.intervals.macro_f1.high,
                "difference": change and change.macro_f1.mean,
                "difference_low": change and change.macro_f1.low,
                "difference_high": change and change.macro_f1.high,
                "p_holm": change and change.macro_f1.p_holm,
                "detectable": change and change.detectable,
                "seconds": scores.seconds,
            }
            for point in result.points
            for name, scores in point.systems.items()
            for change in [point.differences.get(name)]
        ],
        infer_schema_length=None,
    )
