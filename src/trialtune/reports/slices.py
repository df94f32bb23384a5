"""Scores by slice of the test rows as a table, and as lines of Markdown."""

from collections.abc import Sequence

from trialtune.evaluation.slices import LEAST, Slice
from trialtune.reports.summary import score_text

NOTE = f"Recall by class, examples in brackets; – where a slice has fewer than {LEAST} of the class."


def slice_table(slices: Sequence[Slice], name: str) -> list[list[str]]:
    """Header and rows of a comparison's slices: n, accuracy, macro-F1, each class's recall and support."""
    labels = list(slices[0].support) if slices else []
    header = [name, "n", "accuracy", "macro-F1", *(f"recall {label}" for label in labels)]
    return [header] + [
        [
            part.name,
            f"{part.n:,}",
            score_text(part.accuracy),
            score_text(part.macro_f1),
            *(f"{score_text(part.recall[label])} ({part.support[label]:,})" for label in labels),
        ]
        for part in slices
    ]


def slice_lines(slices: Sequence[Slice], name: str) -> list[str]:
    """The slices as lines of a Markdown table."""
    header, *rows = slice_table(slices, name)
    rule = ["---", *["---:"] * (len(header) - 1)]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in (header, rule, *rows)]
    return [f"| {' | '.join(row)} |" for row in escaped] + ["", NOTE, ""]
