"""Items of list cells, as programs print them and registries join them."""

import ast
import io
import json

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialtune.registry.record.lists import interventions_of, items_of, outcomes_of, terms_of


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Zinc|Placebo", ["Zinc", "Placebo"]),
        ("['Zinc', \"Baker's salt\"]", ["Zinc", "Baker's salt"]),
        ("['Zinc' 'Salt'\n 'Rest']", ["Zinc", "Salt", "Rest"]),
        ('["Zinc", "Salt"]', ["Zinc", "Salt"]),
        ("Drug: Zinc;Drug: Salt; 2 g;Other: Rest", ["Drug: Zinc", "Drug: Salt; 2 g", "Other: Rest"]),
        ("DRUG: Zinc|BEHAVIORAL: Rest: long", ["Drug: Zinc", "Behavioral: Rest: long"]),
        ("[18F]GTP1", ["[18F]GTP1"]),
        ("[18F]", ["[18F]"]),
        ("[S,S]-Reboxetine", ["[S,S]-Reboxetine"]),
        ("(R)-ketamine (oral)", ["(R)-ketamine (oral)"]),
        ("Zinc, Salt,", ["Zinc, Salt"]),
        ("Zinc|Zinc||", ["Zinc"]),
        (["Drug: Zinc", None, " "], ["Drug: Zinc"]),
        ("['unclosed", ["['unclosed"]),
        ("[{'type': 'DRUG', 'name': 'Aspirin'}]", ["Drug: Aspirin"]),
        ('{"type": "DIETARY_SUPPLEMENT", "name": "Zinc"}', ["Dietary Supplement: Zinc"]),
        ([{"type": "DRUG", "name": None, "description": "a blue pill"}], ["Drug: a blue pill"]),
        ([{"intervention_type": "DEVICE", "name": "Stent"}], ["Device: Stent"]),
        ([{"InterventionType": "Drug", "InterventionName": "Zinc"}], ["Drug: Zinc"]),
        (None, []),
    ],
)
def test_interventions_come_in_many_forms(cell: object, expected: list[str]) -> None:
    assert interventions_of(cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "['A, B', 'C']",
        "['A, B', 'C', nan]",
        '["A, B", null, "C"]',
        '[ "A, B", "C" ]',
        "('A, B', 'C')",
        "{'A, B', 'C'}",
        "array(['A, B', 'C'], dtype=object)",
        "list(['A, B', 'C'])",
        '{"A, B",C}',
        '{"A, B",NULL,C}',
        "['A, B', C]",
        'c("A, B", "C")',
        "A, B|C",
        "A, B<br>C",
        ("A, B", "C"),
    ],
)
def test_a_list_is_the_same_however_it_is_printed(cell: object) -> None:
    assert items_of(cell) == ["A, B", "C"]


@pytest.mark.parametrize(
    "cell", ["[]", "{}", "()", "[nan]", "[None]", "{NULL}", "[null]", "nan", "NA", "-", ""]
)
def test_an_empty_list_has_no_item(cell: str) -> None:
    assert items_of(cell) == terms_of(cell) == interventions_of(cell) == outcomes_of(cell) == []


def test_jsons_escapes_are_undone() -> None:
    assert items_of('["a\\/b", "caf\\u00e9"]') == ["a/b", "café"]


def test_a_semicolon_parts_conditions_only_where_it_joins_them() -> None:
    assert terms_of("COVID-19;Fever, High;COVID-19") == ["COVID-19", "Fever, High"]
    assert terms_of("Kidney Transplant; Complications") == ["Kidney Transplant; Complications"]
    assert terms_of("Leukemia With inv(16)(p13;q22)") == ["Leukemia With inv(16)(p13;q22)"]
    assert terms_of("Allergy;Food|Asthma") == ["Allergy;Food", "Asthma"]


def test_outcomes_that_differ_in_their_time_frame_are_kept_apart() -> None:
    rows = [("Pain", "1 week"), ("Pain", "1 month"), ("Pain", "1 week"), ("Fever", "1 week")]
    outcomes = [{"measure": measure, "timeFrame": frame} for measure, frame in rows]
    assert outcomes_of(outcomes) == ["Pain [1 week]", "Pain [1 month]", "Fever"]
    assert outcomes_of(outcomes[:1]) == ["Pain"]


ITEMS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))


@given(ITEMS)
def test_a_printed_list_reads_back(items: list[str]) -> None:
    expected = items_of(list(items))
    printed = repr(items)
    assert ast.literal_eval(printed) == items
    if items:
        assert items_of(printed) == expected
        assert items_of(json.dumps(items)) == expected
        assert items_of(repr(tuple(items))) == expected


# Letters, blanks and what lists are made of; not "nan" and the like alone, nor outer blanks.
WORDS = st.lists(
    st.text("ab ,;'\"[]{}()|\\", min_size=1).map(lambda text: f"x{text}y"), min_size=1, unique=True
)


@given(WORDS)
def test_what_other_programs_print_reads_back(items: list[str]) -> None:
    printed = duckdb.execute("select cast($1::varchar[] as varchar)", [items]).fetchall()[0][0]
    assert items_of(printed) == items
    assert items_of(repr(np.array(items, dtype=object))) == items
    frame = pd.DataFrame({"a": [items]}).to_csv(index=False)
    assert items_of(pd.read_csv(io.StringIO(frame))["a"][0]) == items
