"""The sex task's text: free text only, the most telling part first, structured answers taken out."""

import polars as pl
import pytest

from trialtune.tasks.sex.task import build_text, strip_structured


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


def test_the_text_leads_with_what_tells_most_and_leaves_structured_fields_out():
    row = {
        "brief_title": "Iron in pregnancy",
        "official_title": "Iron in pregnancy",
        "conditions": ["Anaemia", "Pregnancy"],
        "eligibility_criteria": "Exclusion Criteria:\n\n\\- Age &gt; 9\n- Male\n\nInclusion:\n\n\\- Pregnant",
        "brief_summary": "We compare two doses",
        "sex": "FEMALE",
        "minimum_age": "18 Years",
        "maximum_age": "45 Years",
    }
    assert build_text(row) == "Iron in pregnancy. Anaemia, Pregnancy. Inclusion: Pregnant. Exclusion: Male."
    assert build_text({"conditions": "Asthma|Cough"}) == "Asthma, Cough."
    assert build_text({"brief_title": None, "conditions": [], "eligibility_criteria": "  "}) == ""


def test_without_a_telling_word_the_first_sentences_stay():
    row = {"brief_title": "Sleep", "eligibility_criteria": "Adults. " * 9, "brief_summary": "We ask"}
    assert build_text(row) == "Sleep. " + "Adults. " * 9 + "We ask."


def test_short_criteria_stay_whole_beside_what_tells():
    row = {"brief_title": "Hearts", "eligibility_criteria": "No eligibility criteria"}
    assert build_text(row) == "Hearts. Criteria: No eligibility criteria."
    row["brief_summary"] = "We follow men."
    assert build_text(row) == "Hearts. Criteria: No eligibility criteria. Summary: We follow men."
    row["eligibility_criteria"] = "Inclusion Criteria: Men"
    assert build_text(row) == "Hearts. Inclusion: Men. Summary: We follow men."


def test_a_short_ready_made_text_stays_whole_and_a_long_one_keeps_what_tells():
    assert build_text({"text": "Adults \n with asthma"}) == "Adults with asthma"
    long = "Adults. " + "They walk. " * 300 + "Healthy men. " + "They rest. " * 300
    assert build_text({"text": long}) == "Inclusion: Healthy men."


def test_a_huge_field_does_not_make_a_huge_text():
    huge = {"brief_title": "T", "eligibility_criteria": "men " * 1_000_000, "brief_summary": "word " * 9999}
    assert len(build_text(huge).split()) <= 200


def test_real_texts_hold_no_structured_answer_and_are_built_once(shared_data):
    trials = pl.read_parquet(shared_data / "trials.parquet").filter(
        (pl.col("sex") != "") | pl.col("eligibility").str.contains(r"(?i)(sex|gender)s?\s*:")
    )
    sample = trials.sample(1500, seed=0).rename({"eligibility": "eligibility_criteria"})
    texts = [build_text(row) for row in sample.iter_rows(named=True)]
    answer = r"(?i)\b(gender|sex)(s|es)?( eligible[a-z ]*)?\s*[:=][\s*-]*((fe)?male|all|both|any)\s*([.;,]|$)"
    assert pl.Series(texts).str.contains(answer).sum() == 0
    assert [build_text({"text": text}) for text in texts] == texts
    assert pl.Series(texts).str.split(" ").list.len().quantile(0.9) < 110
