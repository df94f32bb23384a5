"""Label lists and arrays are two forms of one thing."""

from hypothesis import given
from hypothesis import strategies as st

from trialtune.dataset.label_arrays import label_lists, multi_hot

LABELS = ["A", "B", "C", "D"]


@given(st.lists(st.sets(st.sampled_from(LABELS)).map(sorted), max_size=20))
def test_there_and_back(rows: list[list[str]]) -> None:
    table = multi_hot(rows, LABELS)
    assert table.shape == (len(rows), 4)
    assert label_lists(table, LABELS) == rows
