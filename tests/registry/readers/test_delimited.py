"""Delimited text with quotes that are characters: no trial is swallowed, none is counted twice."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialtune.registry.readers.delimited import Broken, DelimitedRows

HEADER = ["nct_id", "title", "summary", "status"]


def rows_of(text: str, *, tabs: bool = False) -> list[list[str] | Broken]:
    rows = DelimitedRows(io.StringIO(text, newline=""), tabs=tabs)
    found = iter(rows)
    header = next(found)
    assert isinstance(header, list)
    rows.expect(len(header), 0)
    return list(found)


def test_an_unquoted_tsv_has_quotes_as_characters() -> None:
    lines = [
        'NCT00000001\t"Zinc" for colds\ta\tb',
        'NCT00000002\topen "quote\tc\td',
        'NCT00000003\t"open\te\tf',
    ]
    text = "\n".join(["\t".join(HEADER), *lines, "NCT00000004\tplain\tg\th\n"])
    assert rows_of(text, tabs=True) == [line.split("\t") for line in text.splitlines()[1:]]


def test_a_quoted_tsv_has_cells_of_many_lines() -> None:
    stream = io.StringIO()
    rows = [["NCT00000001", 'say "zinc"', "two\nlines\twith tab", "x"], ["NCT00000002", "a", "b", "c"]]
    csv.writer(stream, delimiter="\t").writerows([HEADER, *rows])
    assert rows_of(stream.getvalue(), tabs=True) == rows


@pytest.mark.parametrize("stray", ['"open', '"closed" behind', 'a"b"c"'])
def test_a_stray_quote_costs_at_most_its_own_row(stray: str) -> None:
    rows = [f"NCT0000000{n},title {n},summary {n},done" for n in range(1, 8)]
    rows[2] = f"NCT00000003,{stray},summary,done"
    found = rows_of("\n".join([",".join(HEADER), *rows]))
    assert len(found) == 7
    good = [row[0] for row in found if isinstance(row, list)]
    assert set(good) >= {f"NCT0000000{n}" for n in (1, 2, 4, 5, 6, 7)}


def test_a_trial_named_inside_a_text_is_no_row() -> None:
    text = 'NCT00000001,title,"see\nNCT00000009, our first study\nand others",done\n'
    assert len(rows_of(",".join(HEADER) + "\n" + text)) == 1


TEXT = st.text('ab "\n,', max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=6))
def test_what_the_csv_module_writes_reads_back(cells: list[tuple[str, str, str]]) -> None:
    rows = [[f"NCT{n:08d}", *row] for n, row in enumerate(cells)]
    for delimiter in ",\t":
        stream = io.StringIO()
        csv.writer(stream, delimiter=delimiter).writerows([HEADER, *rows])
        assert rows_of(stream.getvalue(), tabs=delimiter == "\t") == rows


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=3, max_size=8), st.data())
def test_damage_loses_no_trial(cells: list[tuple[str, str, str]], data: st.DataObject) -> None:
    rows = [[f"NCT{n:08d}", *(cell.replace("\n", " ") for cell in row)] for n, row in enumerate(cells)]
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([HEADER, *rows])
    lines = stream.getvalue().splitlines()
    at = data.draw(st.integers(1, len(lines) - 1))
    where = data.draw(st.integers(12, len(lines[at])))
    lines[at] = lines[at][:where] + '"' + lines[at][where:]
    found = rows_of("\n".join(lines))
    text = [row.text if isinstance(row, Broken) else row[0] for row in found]
    # Every trial begins a row, but for one that stands in the damaged row's open quote.
    begun = {piece[:11] for piece in text}
    assert begun >= {row[0] for row in rows}
    assert len(found) == len(rows)
