"""The scores of one classifier as a terminal table."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from trialtune.dataset.split_summary import SplitSummary
from trialtune.evaluation.metrics import ClassMetrics, Evaluation
from trialtune.reports.summary import score_text
from trialtune.reports.tables import NO_EXAMPLES


def scores_to_rich(metrics: Evaluation) -> Table:
    """One row per class, then the averages."""
    table = Table(title=f"{metrics.task}: {metrics.n:,} rows", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("class", "precision", "recall", "F1", "support"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for name, scores in metrics.per_class.items():
        _add(table, name, scores)
    table.add_section()
    for name, scores in metrics.averages:
        _add(table, f"{name} average", scores)
    return table


def parts_to_rich(summary: SplitSummary) -> tuple[Table, str]:
    """Rows and labels of each part of a split, and a line on rows left out and near-duplicates.

    For folds only the test parts are shown: each training part is the other folds.
    """
    parts = summary.parts
    if len(parts) > 2:
        parts = {name.split("/")[0]: part for name, part in parts.items() if name.endswith("test")}
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("label", no_wrap=True)
    for name in parts:
        table.add_column(name, justify="right")
    for label in next(iter(parts.values())).labels:
        table.add_row(label, *(f"{part.labels[label]:,}" for part in parts.values()))
    table.add_section()
    table.add_row("rows", *(f"{part.rows:,}" for part in parts.values()))
    notes = [
        f"{count:,} rows {meaning}"
        for count, meaning in (
            (summary.undated, "without a sufficiently precise date, kept for training"),
            (summary.straddling, "left out of training, because they are grouped with later rows"),
        )
        if count is not None
    ]
    near = sum(summary.near_duplicates.values())
    return table, "; ".join([*notes, f"near-duplicates across parts: {near:,}"])


def _add(table: Table, name: str, scores: ClassMetrics) -> None:
    if scores.f1 is None:
        table.add_row(name, NO_EXAMPLES, "", "", "0")
    else:
        values = [score_text(score) for score in (scores.precision, scores.recall, scores.f1)]
        table.add_row(name, *values, str(scores.support))


def parity_to_rich(parity: Mapping[str, Any]) -> Table:
    """The effect of an export: changed predictions, and scores where labels are known."""
    table = Table(title=f"results on {parity['texts']:,} texts", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("", "before", "after"):
        table.add_column(name, justify="right" if name else "left")
    if parity["before"]:
        for name, shown in (
            ("micro_f1", "micro-F1"),
            ("macro_f1", "macro-F1"),
            ("accuracy", "exactly right"),
        ):
            table.add_row(shown, *(score_text(parity[when][name]) for when in ("before", "after")))
    table.add_row("same labels", "", f"{parity['same_labels']:.2%}")
    for which in ("max", "mean"):
        table.add_row(f"probability change, {which}", "", f"{parity[f'{which}_probability_difference']:.4f}")
    return table
