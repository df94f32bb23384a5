"""The sex task's text: free text only, the most telling part first, structured answers taken out."""

import polars as pl
import pytest

from trialtune.tasks.sex import build_text, strip_structured, telling_first


@pytest.mark.parametrize(
    "line",
    [
        "Gender: All",
        "Sex: Female",
        "sex: male.",
        "* Sex: both Males and Females",
        "- Gender eligible for study: both",
        "Genders Eligible for Study: Both",
        "Sexes Eligible for Study:   Female",
        "3. Sex: M or F",
        "Sex:\n\n- Female",
        "Sex: Women only",
        "- Gender: any;",
        "Sex (Breast cancer): Not specified",
        "Gender Based: No",
        "Minimum Age: 18 Years",
        "Maximum Age: N/A",
        "Sex: Both boys and girls",
    ],
)
def test_a_structured_line_is_taken_out(line):
    text = strip_structured(f"Inclusion Criteria:\n\n- Asthma\n{line}\n- Able to walk")
    assert text.split() == ["Inclusion", "Criteria:", "-", "Asthma", "-", "Able", "to", "walk"]


@pytest.mark.parametrize(
    "text",
    [
        "- Gender: male subjects who agree to use a condom",
        "Sex and reproductive status:",
        "serum creatinine based on age/gender as follows:",
        "Women of childbearing potential",
        "3. Sex: Male or female subjects who were eligible for entry.",
        "The level of sex hormones: females had more",
        "- Male patients",
        "within range for gender. (Male: Hgb 13; Female: Hgb 12)",
    ],
)
def test_a_sponsor_s_own_words_stay(text):
    assert strip_structured(text) == text


def test_a_run_on_record_loses_its_structured_answers_only():
    text = "PATIENT CHARACTERISTICS: Age: 18 and over Sex: Female Menopausal status: Not specified"
    assert strip_structured(text).split() == text.replace("Sex: Female", "").split()
    text = "Gender: Male or female. Female subjects must use contraception."
    assert strip_structured(text) == "Female subjects must use contraception."
    text = "Minimum Age: 18 Years Maximum Age: 99 Years Sex: All Gender Based: No"
    assert strip_structured(text).split() == []


def test_sentences_on_sex_come_first_under_their_headings_and_nothing_is_lost():
    criteria = (
        "Adults.\n\nKey Exclusion Criteria:\n- Fever\n- Pregnant\n\nInclusion criteria\n- Asthma\n- Women"
        "\n\nEXCLUSION:\n- Cough"
    )
    assert telling_first(criteria).split("\n\n") == [
        "Inclusion criteria\n- Women",
        "Key Exclusion Criteria:\n- Pregnant",
        "Adults.",
        "Inclusion criteria\n- Asthma",
        "Key Exclusion Criteria:\n- Fever",
        "EXCLUSION:\n- Cough",
    ]
    assert telling_first("One line without a heading") == "One line without a heading"
    run_on = "Aged 18 to 65 years. Must walk; Male or female patients are eligible. No asthma"
    assert telling_first(run_on).startswith("Male or female patients are eligible.")


def test_the_text_leads_with_what_tells_most_and_leaves_structured_fields_out():
    row = {
        "brief_title": "Iron in pregnancy",
        "official_title": "Iron in pregnancy",
        "conditions": ["Anaemia", "Pregnancy"],
        "eligibility_criteria": "Exclusion Criteria:\n\n\\- Fever &gt; 38\n\nInclusion:\n\n\\- Pregnant",
        "brief_summary": "We compare two doses",
        "sex": "FEMALE",
        "minimum_age": "18 Years",
        "maximum_age": "45 Years",
    }
    assert build_text(row) == (
        "Iron in pregnancy. Anaemia, Pregnancy."
        " Inclusion: - Pregnant Exclusion Criteria: - Fever > 38. We compare two doses."
    )
    assert build_text({"conditions": "Asthma|Cough"}) == "Asthma, Cough."
    assert build_text({"brief_title": None, "conditions": [], "eligibility_criteria": "  "}) == ""


def test_a_huge_field_does_not_make_a_huge_text():
    assert len(build_text({"brief_title": "T", "eligibility_criteria": "word " * 1_000_000})) <= 4000


def test_real_texts_hold_no_structured_answer(shared_data):
    trials = pl.read_parquet(shared_data / "trials.parquet").filter(
        pl.col("eligibility").str.contains(r"(?i)(sex|gender)s?\s*:")
    )
    left = [
        text
        for row in trials.rename({"eligibility": "eligibility_criteria"}).iter_rows(named=True)
        for text in [build_text(row)]
        if "Sex: Female " in text or "Sex: - Female" in text or "Gender: All" in text
    ]
    assert trials.height > 50
    assert left == []
