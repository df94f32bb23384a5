"""What titles and inclusion criteria state: one sex, all, or nothing that can be relied on."""

import polars as pl
import pytest

from trialtune.tasks.sex.stated import names, stated_sex


def of(title: str, inclusion: str = "", summary: str = "") -> str | None:
    row = {"brief_title": title, "eligibility_criteria": inclusion, "brief_summary": summary}
    statement = stated_sex(row)
    return statement.label if statement else None


@pytest.mark.parametrize(
    ("label", "title", "inclusion"),
    [
        ("FEMALE", "Sleep in Women With Asthma", ""),
        ("FEMALE", "Asthma", "Inclusion Criteria:\n- Females of 18 years\n- women must have a negative test"),
        ("MALE", "Asthma", "- Healthy male volunteers\n- Female partners use contraception"),
        ("MALE", "Untrained Men at Altitude", "Exclusion Criteria:\n- Female"),
        ("ALL", "Asthma", "Inclusion Criteria:\n- Men and women of childbearing potential use contraception"),
        ("ALL", "Asthma", "- Patients of either sex"),
        ("ALL", "Asthma in Men", "- Male or female"),
        (None, "Asthma", "Inclusion:\n- Women of childbearing potential must use contraception"),
        (None, "Asthma", "- Boys of 9 years\n- Girls of 8 years"),
        (None, "Asthma in Men", "- Women of 50 years"),
        (None, "Milk of Mothers for Preterm Infants", "- Women who breast-feed"),
        (None, "Multiple Endocrine Neoplasia (MEN)", ""),
        (None, "Asthma", "Exclusion Criteria:\n- Women"),
        (None, "Oestradiol in Male-to-Female Patients", "- Men"),
        (None, "Asthma", "Hemoglobin: Men > 13 g/dl"),
    ],
)
def test_what_is_stated(label, title, inclusion) -> None:
    assert of(title, inclusion) == label


def test_a_summary_can_take_a_statement_back() -> None:
    assert of("Asthma in Men", summary="We study men.") == "MALE"
    assert of("Asthma in Men", summary="We study men and women.") is None
    assert stated_sex({"brief_title": None}) is None


def test_sentences_that_state_it_are_told() -> None:
    statement = stated_sex({"brief_title": "Asthma", "eligibility_criteria": "- Adults\n- Women\n- Walking"})
    assert statement is not None
    assert statement.sentences == ["Women"]
    assert names("Adults") is None


def test_real_records_that_state_one_sex_mostly_have_it_in_the_field(shared_data) -> None:
    trials = pl.read_parquet(shared_data / "trials.parquet").rename({"eligibility": "eligibility_criteria"})
    sample = trials.filter(pl.col("sex").is_in(["FEMALE", "MALE"])).sample(600, seed=1)
    said = [(row["sex"], stated_sex(row)) for row in sample.iter_rows(named=True)]
    stated = [(sex, statement.label) for sex, statement in said if statement]
    assert len(stated) > 150
    assert sum(sex == label for sex, label in stated) > 0.9 * len(stated)
