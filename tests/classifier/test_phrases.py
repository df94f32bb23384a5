"""Phrases lie apart and in order, have every word that says something, and end where a statement ends."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialtune.classifier.phrases import phrases

PIECES = ["slow accrual", "PI left", "due to", "because", "and", "or", "as the", "which", "(", ")", ",", ";"]
PIECES += [
    ":",
    ".",
    " / ",
    " - ",
    " ",
    "\n",
    "e.g.",
    "(DMC)",
    "2.5",
    "1,000",
    "N/A",
    "***",
    "…",
    "é",
    "\u200f",
]
TEXTS = (
    st.text()
    | st.lists(st.sampled_from(PIECES)).map(" ".join)
    | st.lists(st.sampled_from(PIECES)).map("".join)
)
JOINTS = {"and", "or", "as", "well", "along", "with", "plus"}


def said(text: str) -> list[str]:
    return [text[start:end] for start, end in phrases(text)]


@given(TEXTS | TEXTS.map(lambda text: text * 30))
def test_any_text_is_divided_into_phrases_with_words(text) -> None:
    found = phrases(text)
    last = 0
    for start, end in found:
        assert last <= start < end <= len(text)
        assert re.search(r"\w", text[start:end])
        last = end
    words = [match.span() for match in re.finditer(r"\w+", text)]
    missed = {
        text[start:end].lower() for start, end in words if not any(s <= start < end <= e for s, e in found)
    }
    assert missed <= JOINTS
    assert bool(found) == bool(words) or missed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Slow accrual", ["Slow accrual"]),
        ("Slow accrual, funding ended.", ["Slow accrual", "funding ended"]),
        ("Terminated due to slow accrual; PI left", ["Terminated", "due to slow accrual", "PI left"]),
        ("Low enrolment and the funding ran out", ["Low enrolment", "the funding ran out"]),
        ("low or no enrolment", ["low or no enrolment"]),
        ("Toxicity, and lack of drug", ["Toxicity", "lack of drug"]),
        ("Sponsor decision, not due to safety", ["Sponsor decision", "not due to safety"]),
        ("Stopped as the PI left as planned", ["Stopped", "as the PI left as planned"]),
        ("Study ended (no money left) in 2012", ["Study ended", "no money left", "in 2012"]),
        (
            "A Data and Safety Monitoring Board (DSMB) review",
            ["A Data and Safety Monitoring Board (DSMB) review"],
        ),
        ("1,000 patients of 2.5 mg on May 5, 2012", ["1,000 patients of 2.5 mg on May 5, 2012"]),
        ("Some drugs (e.g. aspirin) were short", ["Some drugs", "e.g. aspirin", "were short"]),
        ("No money.The PI left - moved / retired", ["No money", "The PI left", "moved", "retired"]),
        ("...", []),
        ("", []),
    ],
)
def test_a_phrase_says_one_thing(text, expected) -> None:
    assert said(text) == expected


def test_a_long_text_is_divided_into_sentences() -> None:
    sentence = "Inclusion: women, not pregnant, and men due to take part"
    assert said(f"{sentence}. " * 6) == [sentence] * 6
    endless = ", ".join(["the patients were asked"] * 20)
    assert said(f"{sentence}. {endless}.") == [sentence, *["the patients were asked"] * 20]
