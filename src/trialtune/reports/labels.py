"""The summary of an `apply`: a table for the terminal, a page with plots."""

from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trialtune.labelling.summary import LabellingSummary
from trialtune.reports.groups import heading
from trialtune.reports.pages import plots_of, write_page
from trialtune.reports.tables import totals_to_rich

_TOTALS = {
    "trials": "trials in the snapshot",
    "without_text": "without a text for this task",
    "labelled": "labelled",
    "distinct_texts": "distinct texts",
    "reused": "reused from an earlier output",
    "scored": "scored now",
    "new": "trials new",
    "changed": "with changed text",
    "unchanged": "unchanged",
    "gone": "gone",
    "needs_review": "need review",
}


def write_labels_page(summary: LabellingSummary, path: Path) -> None:
    """Write the summary of an `apply` as one page that works without a network."""
    write_page(
        path,
        "labels.html",
        summary=summary,
        totals=_totals(summary),
        labels=ranked(summary),
        groups={
            heading("year"): summary.year,
            heading("phase"): _common_first(summary.phase),
            heading("sponsor_class"): _common_first(summary.sponsor_class),
            heading("country"): _common_first(summary.country),
        },
        plots=plots_of("label_plots", summary),
    )


def labels_to_rich(summary: LabellingSummary) -> RenderableType:
    """The summary of an `apply` for the terminal, or of a dry run, which has no labels yet."""
    parts: list[RenderableType] = [totals_to_rich(_totals(summary))]
    if summary.label:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        table.add_column("label", min_width=24)
        table.add_column("trials", justify="right")
        table.add_column("share", justify="right")
        for label, given in ranked(summary).items():
            table.add_row(Text(label), f"{given:,}", f"{given / summary.labelled:.1%}")
        parts += [Text(), table]
    return Group(*parts)


def _totals(summary: LabellingSummary) -> dict[str, str]:
    counts = summary.model_dump(exclude_none=True)
    return {title: f"{counts[name]:,}" for name, title in _TOTALS.items() if name in counts}


def ranked(summary: LabellingSummary) -> dict[str, int]:
    """Trials of each label, the most frequent first."""
    return dict(sorted(summary.label.items(), key=lambda item: -item[1]))


def _common_first(rows: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, int]]:
    return dict(sorted(rows.items(), key=lambda item: (-item[1]["trials"], item[0])))
