"""Cleaning repairs text and destroys none of it; structured answers stay out of documents."""

import html
import re
import textwrap
import unicodedata

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from trialtune.corpus.documents import clean, compose, unwrap


def test_clean_keeps_numbers_brackets_and_signs() -> None:
    text = "Reduction of 40% [95% CI (0.3, 0.7)] @ week 12; HbA1c ≥ 7.5%, p<0.05 & BMI > 30 kg/m²"
    assert clean(text) == text


def test_clean_undoes_entities_escapes_and_spreadsheet_returns() -> None:
    assert clean("age &gt;= 18 &amp; &lt; 65") == "age >= 18 & < 65"
    assert clean(r"ANC \>= 1.5 \* 10\^9, \[see below\]") == "ANC >= 1.5 * 10^9, [see below]"
    assert clean("Inclusion:_x000D_\nAdults\x00\x07") == "Inclusion:\n\nAdults"


def test_clean_keeps_bullets_apart() -> None:
    criteria = "Inclusion Criteria:\n\n* Age ≥ 18\n* Able to consent\n1. First\n2. Second"
    assert clean(criteria) == criteria


words = st.text(st.characters(categories=["Ll"], max_codepoint=122), min_size=2, max_size=12)
paragraphs = st.lists(st.lists(words, min_size=30, max_size=80).map(" ".join), min_size=1, max_size=5)


@given(paragraphs, st.integers(min_value=70, max_value=100))
def test_unwrap_undoes_fixed_width_wrapping(texts: list[str], width: int) -> None:
    wrapped = [line for text in texts for line in [*textwrap.wrap(text, width), ""]]
    assert [line for line in unwrap(wrapped) if line] == texts


@given(st.lists(words, min_size=1, max_size=40).map(" ".join))
def test_unwrap_leaves_short_lines_alone(text: str) -> None:
    lines = textwrap.wrap(text, 40)
    assert unwrap(lines) == lines


def clean_plainly(text: str) -> str:
    """Every repair on every text, needed or not."""
    text = re.sub("_x000D_", "\n", html.unescape(text), flags=re.IGNORECASE)
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\u200b]", "", text)
    text = re.sub(r"\\([\\`*_{}\[\]()#+\-.!<>~|&\"'^=])", r"\1", text)
    lines = [re.sub(r"[ \t\xa0]+", " ", line).strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(unwrap(lines))).strip()


odd = st.sampled_from(
    [*"\r\n\t\\*_&;xa \u0301é\x00\x0b\x1c\x7f\x85\xa0\u200b\u2028\ufeff\u3000", "_X000d_", "&lt;"]
)


@given(st.lists(odd | st.text()).map("".join))
def test_cleaning_quickly_equals_cleaning_plainly(text: str) -> None:
    assert clean(text) == clean_plainly(text)


def test_cleaning_quickly_equals_cleaning_plainly_on_real_trials(shared_data) -> None:
    columns = ["brief_title", "brief_summary", "detailed_description", "eligibility", "interventions"]
    for texts in pl.read_parquet(shared_data / "trials.parquet", columns=columns).gather_every(11):
        for text in texts:
            assert clean(text) == clean_plainly(text)


@given(st.text())
def test_cleaning_never_fails_and_settles(text: str) -> None:
    assert clean(clean(text)) == clean(clean(clean(text)))


def test_structured_answers_never_enter_a_document() -> None:
    record = {
        "nct_id": "NCT01234567",
        "brief_title": "Iron in anaemia",
        "conditions": ["Anaemia", "Iron deficiency"],
        "eligibility_criteria": "Adults",
        "sex": "FEMALE",
        "minimum_age": "21 Years",
        "why_stopped": "slow accrual",
    }
    document = compose(record).text
    assert document == "Title: Iron in anaemia\n\nConditions: Anaemia; Iron deficiency\n\nEligibility: Adults"


def test_a_ready_made_text_is_used_as_it_came() -> None:
    document = compose({"nct_id": "NCT01234567", "text": "ready &amp; made", "brief_title": None})
    assert (document.text, document.sections) == ("ready & made", ())


def test_real_hard_wrapped_criteria_become_whole_sentences(shared_data) -> None:
    trials = pl.read_parquet(shared_data / "trials.parquet")
    criteria = trials.filter(pl.col("source") == "trialbench")["eligibility"].head(300).to_list()
    broken = [line for text in criteria for line in text.split("\n")]
    whole = [line for text in criteria for line in clean(text).split("\n")]
    assert len([line for line in whole if line]) < 0.8 * len([line for line in broken if line])
    squeeze = str.maketrans("", "", " \n\\\xa0")
    for text in criteria:
        if "&" not in text and "_x000D_" not in text:
            assert clean(text).translate(squeeze) == clean(text.replace("\n", " ")).translate(squeeze)
