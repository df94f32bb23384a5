"""Telling sentences: found under their headings, cut to the words around, none twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialtune.tasks.sex.cue_sentences import HINTS, NAMES, Snippets, around, divide_criteria, sentences


@pytest.mark.parametrize(
    "criteria",
    [
        "Inclusion Criteria:\n\n- Men\n- Asthma\n\nExclusion Criteria:\n\n- Fever",
        "Key Exclusion criteria:\n1. Fever\nInclusion criteria\n1. Men\n2. Asthma",
        "Inclusion Criteria: * Men * Asthma Exclusion Criteria: * Fever",
        "Men. Asthma\nNon-inclusion criteria for the study (main):\n- Fever",
    ],
)
def test_criteria_are_divided_at_their_headings(criteria):
    inclusion, exclusion = divide_criteria(criteria)
    assert [text.strip(".12 ") for text in inclusion] == ["Men", "Asthma"]
    assert [text.strip(".12 ") for text in exclusion] == ["Fever"]


@given(st.text(alphabet="aAmen .:;*-\n1()é", max_size=300))
def test_only_bullets_and_headings_are_lost(text):
    letters = "".join(filter(str.isalpha, text))
    assert "".join(filter(str.isalpha, "".join(sentences(text)))) == letters
    inclusion, exclusion = divide_criteria(text)
    assert "".join(filter(str.isalpha, "".join(inclusion + exclusion))) == letters


def test_a_long_sentence_is_cut_to_the_words_around():
    sentence = " ".join(["far"] * 40 + ["healthy", "men"] + ["far"] * 60 + ["women"])
    assert around(sentence, NAMES).split() == [
        *["far"] * 14, "healthy", "men", *["far"] * 15, "…", *["far"] * 15, "women",
    ]  # fmt: skip
    assert around("Healthy men", NAMES) == "Healthy men"
    assert around("Adults", NAMES) == ""


def test_nothing_is_taken_twice_and_budgets_hold():
    found = Snippets(known=["A trial in women"])
    found.take(
        ["In women.", "Healthy men; fasting", "healthy men fasting"], NAMES, words=40, name="Inclusion:"
    )
    found.take(["Pregnant women", "Pregnancy"], HINTS, words=20, but=NAMES)
    found.take(["Two men", "Three men", "Four men"], NAMES, words=4)
    assert found.pieces == ["Inclusion: Healthy men; fasting.", "Pregnancy.", "Two men. Three men."]


@pytest.mark.parametrize(
    "sentence",
    ["either sex", "both genders", "Healthy male volunteers", "postmenopausal women", "Mothers of infants"],
)
def test_who_may_take_part_is_told(sentence):
    assert NAMES.search(sentence)


@pytest.mark.parametrize(
    "sentence", ["Lives in a nursing home", "cervical spine surgery", "drug delivery", "the treatment"]
)
def test_look_alikes_do_not_tell(sentence):
    assert not NAMES.search(sentence)
    assert not HINTS.search(sentence)
