"""The scores of one classifier as a terminal table."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from trialtune.reports.summary import score_text
from trialtune.reports.tables import AVERAGES, NO_EXAMPLES


def scores_to_rich(metrics: Mapping[str, Any]) -> Table:
    """One row a class, then the averages, of a metrics dict as `trialtune evaluate` writes it."""
    table = Table(
        title=f"{metrics['task']}: {metrics['n']:,} rows", box=box.SIMPLE_HEAD, title_justify="left"
    )
    for name in ("class", "precision", "recall", "F1", "support"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for name, scores in metrics["per_class"].items():
        _add(table, name, scores)
    table.add_section()
    for name in AVERAGES:
        _add(table, f"{name} average", metrics["averages"][name])
    return table


def _add(table: Table, name: str, scores: Mapping[str, Any]) -> None:
    if scores["f1"] is None:
        table.add_row(name, NO_EXAMPLES, "", "", "0")
    else:
        values = [score_text(scores[key]) for key in ("precision", "recall", "f1")]
        table.add_row(name, *values, str(scores["support"]))
