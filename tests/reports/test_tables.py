"""Rows, terminal table, Markdown and CSV of a comparison."""

import io

import pandas as pd
import pytest
from rich.console import Console

from trialtune.evaluation.metrics import Averages
from trialtune.reports.tables import comparison_rows, summary_to_rich, to_csv, to_markdown, to_rich

AVERAGES = list(Averages.model_fields)


def test_classes_come_in_task_order_then_the_averages(run) -> None:
    comparison = run.tasks["stop-reasons"]
    rows = comparison_rows(comparison)
    assert [row.name for row in rows] == [*comparison.labels, *AVERAGES]
    assert [row.name for row in rows if row.empty] == ["Ethical_Reason"]


def test_an_average_without_an_interval_still_has_its_difference(run) -> None:
    weighted = next(row for row in comparison_rows(run.tasks["sex"]) if row.name == "weighted")
    assert weighted.difference == pytest.approx(0.0212)
    assert (weighted.low, weighted.high, weighted.arrow) == (None, None, "")


def test_csv_comes_back_from_pandas_as_it_was(run) -> None:
    comparison = run.tasks["stop-reasons"]
    table = pd.read_csv(io.StringIO(to_csv(comparison)), index_col="name")
    for label in comparison.labels:
        for system in ("base", "adapted"):
            for score in ("precision", "recall", "f1"):
                value = getattr(getattr(comparison.systems, system).per_class[label], score)
                found = table.loc[label, f"{system}_{score}"]
                assert pd.isna(found) if value is None else found == value


def test_markdown_has_a_row_for_each_class_and_average(run) -> None:
    comparison = run.tasks["stop-reasons"]
    lines = [line for line in to_markdown(comparison).splitlines() if line.startswith("|")]
    sizes = (len(comparison.summary), len(comparison.labels) + len(AVERAGES), 1)  # one topic
    assert len(lines) == sum(2 + size for size in sizes)
    systems, classes = lines[: 2 + sizes[0]], lines[2 + sizes[0] : -3]
    for table in (systems, classes, lines[-3:]):
        assert len({line.count("|") for line in table}) == 1
    assert "0.812 ± 0.004 [0.792, 0.832]" in systems[4]
    assert "± " not in systems[3]


def test_markdown_without_a_table_of_all_systems(run) -> None:
    assert "System" not in to_markdown(run.tasks["sex"].model_copy(update={"summary": {}}))


def test_arrows_stand_where_both_tests_see_a_difference(run) -> None:
    for row in comparison_rows(run.tasks["stop-reasons"]):
        if row.low is not None and row.high is not None:
            assert bool(row.arrow) == ((row.low > 0 or row.high < 0) and row.p < 0.05)


def test_an_interval_alone_is_no_difference(run, edited) -> None:
    comparison = run.tasks["stop-reasons"]
    row = comparison_rows(comparison)[6]
    assert row.low > 0 and row.p == 1 and not row.arrow
    untested = edited(comparison, "difference", "per_class", row.name, "p_holm", to=None)
    assert comparison_rows(untested)[6].p is None


def test_markdown_leaves_no_markup_in_names(run) -> None:
    comparison = run.tasks["sex"].model_copy(update={"task": "a|b <i>", "verdict": "*x*\n| y"})
    text = to_markdown(comparison)
    assert text.startswith("## a\\|b &lt;i>\n\n\\*x\\* \\| y\n")


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_table_cuts_nothing_off(run, width) -> None:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(to_rich(run.tasks["stop-reasons"]))
    text = console.export_text()
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    assert "no examples" in text
    assert "▲+.021 [+.010,+.031]" in text
    assert (text.count("▲"), text.count("▼")) == (4, 2)


def test_the_terminal_table_of_all_systems_fits(run) -> None:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(summary_to_rich(run.tasks["stop-reasons"]))
    text = console.export_text()
    assert "…" not in text
    assert "0.812 ± 0.004" in text and "[0.792, 0.832]" in text
