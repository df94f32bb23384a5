"""The findings of an audit as a table for the terminal and as a page that works without a network."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trialtune.reports.pages import write_page

_SHOWN = 2_000  # rows per section of the page; the Parquet file has all
_LISTED = 20  # rows in the terminal


def write_audit_page(
    findings: pl.DataFrame, counts: Mapping[str, int], path: Path, *, classifier: str, min_probability: float
) -> None:
    """Write the findings as one page: contradictions, then trials whose sex field is empty.

    Each trial links to its registry page, the only external links; columns are sortable.
    """
    write_page(
        path,
        "audit.html",
        sections=[
            {"title": title, "rows": rows.head(_SHOWN).to_dicts(), "count": len(rows)}
            for title, rows in zip(_TITLES, divided(findings), strict=True)
        ],
        counts=counts,
        classifier=classifier,
        min_probability=min_probability,
    )


_TITLES = ("The text contradicts the registry", "The field is empty; the text says")


def divided(findings: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(contradictions, trials whose sex field is empty)."""
    empty = pl.col("registry").is_null()
    return findings.filter(~empty), findings.filter(empty)


def audit_to_rich(findings: pl.DataFrame, counts: Mapping[str, int]) -> RenderableType:
    """The counts, and the most certain contradictions as a terminal table."""
    contradictions, empty = divided(findings)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("trial", "registry", "text", "prob.", "because"):
        table.add_column(name, overflow="fold")
    for row in contradictions.head(_LISTED).iter_rows(named=True):
        table.add_row(
            row["nct_id"], row["registry"], row["model"], f"{row['probability']:.3f}", Text(row["sentence"])
        )
    return Group(
        Text(
            f"{len(contradictions):,} contradictions and {len(empty):,} answers for empty fields"
            f" in {counts['to_score']:,} trials ({counts['seen']:,} seen in training were left out)"
        ),
        table,
    )
