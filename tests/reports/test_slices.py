"""The table of slices."""

from dataclasses import asdict

from trialtune.evaluation.slices import Slice
from trialtune.reports.slices import slice_lines, slice_table

PARTS = [
    asdict(part)
    for part in (
        Slice("a|b", 1200, 0.95, 0.91, {"ALL": 1195, "MALE": 5}, {"ALL": 0.952, "MALE": None}, {"ALL": 1200}),
        Slice("[red]", 30, 0.5, None, {"ALL": 15, "MALE": 15}, {"ALL": 0.4, "MALE": 0.6}, {"ALL": 30}),
    )
]


def test_scores_and_supports_stand_in_the_table() -> None:
    header, first, second = slice_table(PARTS, "source")
    assert header == ["source", "n", "accuracy", "macro-F1", "recall ALL", "recall MALE"]
    assert first == ["a|b", "1,200", "0.950", "0.910", "0.952 (1,195)", "– (5)"]
    assert second[3] == "–"
    assert slice_table([], "source") == [["source", "n", "accuracy", "macro-F1"]]


def test_names_are_shown_as_they_are() -> None:
    assert slice_lines(PARTS, "source")[2].startswith("| a\\|b | 1,200 |")
