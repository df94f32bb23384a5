"""The table of slices."""

from trialtune.evaluation.slices import Slice
from trialtune.reports.slices import slice_lines, slice_table

PARTS = [
    Slice(
        name="a|b",
        n=1200,
        accuracy=0.95,
        macro_f1=0.91,
        support={"ALL": 1195, "MALE": 5},
        recall={"ALL": 0.952, "MALE": None},
        predicted={"ALL": 1200, "MALE": 0},
    ),
    Slice(
        name="[red]",
        n=30,
        accuracy=0.5,
        macro_f1=None,
        support={"ALL": 15, "MALE": 15},
        recall={"ALL": 0.4, "MALE": 0.6},
        predicted={"ALL": 30, "MALE": 0},
    ),
]


def test_scores_and_supports_stand_in_the_table() -> None:
    header, first, second = slice_table(PARTS, "source")
    assert header == ["source", "n", "accuracy", "macro-F1", "recall ALL", "recall MALE"]
    assert first == ["a|b", "1,200", "0.950", "0.910", "0.952 (1,195)", "– (5)"]
    assert second[3] == "–"
    assert slice_table([], "source") == [["source", "n", "accuracy", "macro-F1"]]


def test_names_are_shown_as_they_are() -> None:
    assert slice_lines(PARTS, "source")[2].startswith("| a\\|b | 1,200 |")
