"""Labelled examples from every table form, with every row accounted for."""

import polars as pl
import pytest

from trialtune.dataset.examples import EMPTY, load_examples
from trialtune.dataset.overlap import check_no_overlap
from trialtune.errors import DataError
from trialtune.tasks.catalog import load_task, task_from_spec
from trialtune.tasks.spec import TaskSpec
from trialtune.tasks.stop_reasons.task import load_gold
from trialtune.tasks.text import wording_hash

STOP, SEX = load_task("stop-reasons"), load_task("sex")


def load(task, columns, **options):
    return load_examples(task, pl.DataFrame(columns, **options), where="file.csv")


def accounted(result):
    kept = result.frame.height + sum(result.unlabelled.values()) + sum(result.dropped.values())
    assert result.counts["kept"] == result.frame.height
    return kept == result.read and len(result.quarantined) == sum(result.dropped.values())


@pytest.mark.parametrize(
    "labels",
    [
        [["Negative", "Interim_Analysis"], ["Covid19"]],
        ["Interim_Analysis,Negative", "Covid19"],
        ["negative; interim analysis", " COVID19 "],
        ["Negative|Interim-Analysis|Negative", "Covid19"],
    ],
)
def test_labels_may_be_lists_or_divided_strings(labels):
    result = load(STOP, {"text": ["Futile at interim look", "Pandemic"], "labels": labels})
    assert result.frame["labels"].to_list() == [["Negative", "Interim_Analysis"], ["Covid19"]]
    assert result.frame["nct_id"].to_list() == [None, None]
    assert result.frame.columns == ["nct_id", "text", "labels"]
    assert accounted(result)


NAMES = ["Safety, or tolerability", "Lack of efficacy; futility", "Sponsor|CRO", "Other", "Funding"]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Safety, or tolerability", ["Safety, or tolerability"]),
        ("lack of efficacy, futility", ["Lack of efficacy; futility"]),
        ("Other, Safety, or tolerability;Sponsor|CRO", ["Safety, or tolerability", "Sponsor|CRO", "Other"]),
        ("Sponsor|CRO|Funding", ["Sponsor|CRO", "Funding"]),
        ("Other;", ["Other"]),
    ],
)
def test_labels_that_hold_a_divider_are_read_from_text(cell, expected):
    spec = TaskSpec(name="own", kind="multi_label", labels=NAMES)
    result = load(task_from_spec(spec), {"text": ["why"], "labels": [cell]})
    assert result.frame["labels"].to_list() == [expected]


def test_a_cell_of_a_multi_class_task_is_one_label():
    task = task_from_spec(TaskSpec(name="own", kind="multi_class", labels=[*NAMES, "Safety"]))
    result = load(task, {"text": ["a", "b"], "label": ["Safety, or tolerability", "safety"]})
    assert result.frame["labels"].to_list() == [["Safety, or tolerability"], ["Safety"]]
    with pytest.raises(DataError, match="row 1, label: own takes one label, not 'Funding, Other'"):
        load(task, {"text": ["a"], "label": ["Funding, Other"]})


def test_a_label_made_of_other_labels_is_refused():
    with pytest.raises(ValueError, match="'Other, Funding' contains other labels"):
        TaskSpec(name="own", kind="multi_label", labels=["Other", "Funding", "Other, Funding"])


def test_categories_are_labels_too():
    frame = pl.DataFrame({"text": ["x y"], "label": ["Negative"]}, schema_overrides={"label": pl.Categorical})
    assert load_examples(STOP, frame, where="t").frame["labels"].to_list() == [["Negative"]]


def test_rows_without_a_label_are_counted_and_bad_rows_listed():
    result = load(
        STOP,
        {
            "NCT ID": ["nct00000001 ", "NCT1", "NCT00000003", "NCT00000004", None],
            "text": ["Slow accrual", "Toxicity", " - ", "Other", "No money"],
            "labels": [
                "Insufficient_Enrollment",
                "Safety_Sideeffects",
                "Negative",
                None,
                "Business_Administrative",
            ],
            "source": list("abcde"),
        },
    )
    assert result.frame["nct_id"].to_list() == ["NCT00000001", None]
    assert result.frame["source"].to_list() == ["a", "e"]
    assert result.unlabelled == {"no label": 1}
    assert result.dropped == {"NCT id is not NCT and eight digits": 1, "empty text": 1}
    assert [(row["row"], row["file"], row["value"]) for row in result.quarantined] == [
        (2, "file.csv", "NCT1"),
        (3, "file.csv", "-"),
    ]
    assert accounted(result)


def test_an_enormous_text_is_left_out():
    result = load(STOP, {"text": ["x " * 600_000, "Toxicity"], "labels": ["Negative", "Safety_Sideeffects"]})
    assert result.frame.height == 1
    assert "longer than 1,000,000 characters" in result.quarantined[0]["reason"]
    assert len(result.quarantined[0]["value"]) <= 200


def test_an_unknown_label_is_named_with_its_row_and_the_nearest():
    with pytest.raises(
        DataError, match=r"file.csv, row 2, labels: 'Safety' is not a label .*'Safety_Sideeffects'"
    ):
        load(STOP, {"text": ["a b", "c d"], "labels": ["Negative", "Safety"]})
    with pytest.raises(DataError, match=r"row 1, sex: 'Femal' .*'FEMALE'"):
        load(SEX, {"text": ["a b"], "sex": ["Femal"]})


def test_missing_columns_are_named():
    with pytest.raises(DataError, match=r"has the columns title, labels; stop-reasons needs text and labels"):
        load(STOP, {"title": ["a"], "labels": ["Negative"]})
    with pytest.raises(DataError, match=r"nct_id and why_stopped"):
        load(STOP, {"text": ["a"]})
    with pytest.raises(DataError, match=r"sex or gender"):
        load(SEX, {"brief_title": ["a"]})


@pytest.mark.parametrize("column", ["nct_id", "text", "why_stopped"])
def test_a_column_of_numbers_is_refused(column):
    columns = {"text": ["a"], "labels": ["Negative"], column: [3]}
    with pytest.raises(DataError, match=f"column {column} holds Int64"):
        load(STOP, columns)


def test_a_table_without_a_usable_row_is_refused():
    with pytest.raises(DataError, match="no labelled row for stop-reasons"):
        load(STOP, {"text": ["", "x"], "labels": ["Negative", ""]})


def test_a_snapshot_gets_the_shipped_labels_unless_its_text_changed():
    gold = load_gold()
    fact = gold.row(by_predicate=pl.col("text_hash") == wording_hash("No participants enrolled"), named=True)
    other = gold.row(by_predicate=pl.col("text_hash") == wording_hash("Funding"), named=True)
    result = load(
        STOP,
        {
            "nct_id": [fact["nct_id"], other["nct_id"], "NCT99999999", "NCT99999998"],
            "why_stopped": ["No participants\nenrolled.", "Words that nobody labelled", "Some reason", None],
            "text": ["A whole document"] * 4,
            "sex": ["ALL"] * 4,
        },
    )
    assert result.frame.rows() == [
        (fact["nct_id"], "No participants enrolled.", ["Insufficient_Enrollment"], fact["split"])
    ]
    assert result.dropped == {"text changed since it was labelled": 1}
    assert result.unlabelled == {"no label for this trial": 1, "no why_stopped": 1}
    assert result.quarantined[0]["nct_id"] == other["nct_id"]
    assert accounted(result)


def test_own_labels_beside_why_stopped_are_used_as_they_are():
    result = load(
        STOP,
        {"nct_id": ["NCT00000001"], "text": [None], "why_stopped": ["Slow\naccrual"], "labels": ["Negative"]},
    )
    assert result.frame.row(0) == ("NCT00000001", "Slow accrual", ["Negative"])


@pytest.mark.parametrize("column", ["sex", "gender", "Sex", "label"])
def test_the_sex_column_in_its_many_spellings(column):
    values = ["All", "ALL", "Both", "female", "Male", "F", "None", None, ""]
    result = load(SEX, {"text": [f"trial {value}" for value in values], column: values})
    assert [names[0] for names in result.frame["labels"]] == ["ALL", "ALL", "ALL", "FEMALE", "MALE", "FEMALE"]
    assert result.unlabelled == {"no label": 3}
    assert accounted(result)


def test_two_sexes_in_one_row_are_refused():
    with pytest.raises(DataError, match="takes one label"):
        load(SEX, {"text": ["a b"], "labels": [["MALE", "FEMALE"]]})


def test_the_sex_text_is_built_from_free_text_only():
    result = load(
        SEX,
        {
            "nct_id": ["NCT00000001"],
            "brief_title": ["Iron"],
            "eligibility": ["Inclusion Criteria:\n- Adults\nGender: Female"],
            "minimum_age": ["18 Years"],
            "sex": ["FEMALE"],
        },
    )
    (text,) = result.frame["text"]
    assert text.startswith("Iron. ") and "Adults" in text and "Female" not in text


def test_a_ready_made_text_loses_its_structured_answers():
    result = load(SEX, {"text": ["A trial of iron.\nGender: All\nAdults"], "sex": ["ALL"]})
    (text,) = result.frame["text"]
    assert "A trial of iron. Adults" in text and "All" not in text


def test_a_snapshot_s_document_is_not_taken_for_its_stop_reason():
    columns = {"text": ["A whole document", "Toxicity"], "why_stopped": ["Slow accrual", None]}
    result = load(STOP, {**columns, "labels": ["Insufficient_Enrollment", "Safety_Sideeffects"]})
    assert result.frame["text"].to_list() == ["Slow accrual"]
    assert result.dropped == {EMPTY: 1}


def test_a_title_beside_a_ready_made_text_replaces_nothing():
    result = load(SEX, {"brief_title": ["Iron"], "text": ["Adults with anaemia"], "sex": ["ALL"]})
    assert result.frame["text"].to_list() == ["Iron. Adults with anaemia."]


def test_dev_rows_are_not_trainable():
    result = load(
        STOP, {"text": ["a b", "c d", "e f"], "labels": ["Negative"] * 3, "split": ["train", "dev", None]}
    )
    assert result.trainable["text"].to_list() == ["a b", "e f"]


def test_the_real_trials(shared_data):
    trials = pl.read_parquet(shared_data / "trials.parquet")
    stop = load_examples(STOP, trials, where="trials.parquet")
    assert dict(stop.frame["split"].value_counts().iter_rows()) == {"train": 1_732, "dev": 44}
    assert stop.dropped == {"text changed since it was labelled": 7}
    assert accounted(stop)
    sex = load_examples(SEX, trials, where="trials.parquet")
    counts = dict(sex.frame["labels"].list.first().value_counts().iter_rows())
    assert counts == {"ALL": 11_403, "MALE": 1_312, "FEMALE": 726}
    assert accounted(sex)


def test_the_real_dev_file_shares_nothing_with_the_training_file(shared_data):
    train, dev = (
        load_examples(STOP, pl.read_parquet(shared_data / f"stop_reasons_{name}.parquet"), where=name).frame
        for name in ("train", "dev")
    )
    assert (train.height, dev.height) == (19_339, 500)
    check_no_overlap(train, dev)


def test_one_row_a_trial_and_text_and_contradictions_are_listed():
    result = load(
        STOP,
        {
            "nct_id": ["NCT00000001", "nct00000001", "NCT00000001", "NCT00000001", "NCT00000002", None, None],
            "text": [
                "Slow accrual",
                "slow accrual.",
                "Slow  accrual",
                "Toxicity",
                "SLOW ACCRUAL",
                "Other",
                "Other",
            ],
            "labels": ["Insufficient_Enrollment"] * 2 + ["Negative", "Safety_Sideeffects"] + ["Negative"] * 3,
        },
    )
    assert result.frame["text"].to_list() == ["Slow accrual", "Toxicity", "SLOW ACCRUAL", "Other", "Other"]
    assert result.dropped == {
        "same trial and text as an earlier row": 1,
        "same trial and text as an earlier row, but other labels": 1,
    }
    assert [row["row"] for row in result.quarantined] == [2, 3]
    assert [row["row"] for row in result.conflicts] == [1, 5]
    assert result.counts["conflicting"] == 2
    assert accounted(result)


@pytest.mark.parametrize(("yes", "no"), [(True, False), (1, 0), (1.0, None), ("True", "False"), ("1", "")])
def test_a_table_with_a_column_for_each_label(yes, no):
    # As opentargets/clinical_trial_reason_to_stop is published.
    held = [["Another_Study", "Negative"], ["Success"], []]
    columns = {label: [yes if label in names else no for names in held] for label in sorted(STOP.labels)}
    result = load(STOP, {"text": ["a b", "c d", "e f"], "label_descriptions": held, **columns})
    assert result.frame["labels"].to_list() == [["Negative", "Another_Study"], ["Success"]]
    assert result.unlabelled == {"no label": 1}
    columns["Negative"] = ["perhaps"] * 3
    with pytest.raises(DataError, match=r"row 1, negative: 'perhaps' is neither true/false nor 0/1"):
        load(STOP, {"text": ["a b", "c d", "e f"], **columns})
    del columns["Negative"]
    with pytest.raises(DataError, match=r"a true/false column for each label \(missing: Negative\)"):
        load(STOP, {"text": ["a b", "c d", "e f"], **columns})


def test_the_published_sex_table():
    # Kira-Asimov/gender_clinical_trial: id, input, label.
    columns = {
        "id": ["NCT00000001", "NCT00000002", "NCT00000003"],
        "input": ["Adults with asthma", "Women with anaemia", "Old record"],
        "label": ["All", "Female", "None"],
        "__index_level_0__": [4, 5, 6],
    }
    result = load(SEX, columns)
    assert result.frame["nct_id"].to_list() == ["NCT00000001", "NCT00000002"]
    assert result.frame["labels"].to_list() == [["ALL"], ["FEMALE"]]
    assert result.unlabelled == {"no label": 1}
    assert load(SEX, {**columns, "id": [1, 2, 3]}).frame["nct_id"].to_list() == [None, None]


def test_labels_may_be_numbers_where_the_task_has_them():
    with pytest.raises(DataError, match="row 1, labels: '3' is not a label"):
        load(STOP, {"text": ["a"], "labels": [3]})


def test_of_two_spellings_of_a_column_our_own_is_read():
    result = load(STOP, {"Text": ["no"], "input": ["no"], "text": ["Slow accrual"], "label": ["Negative"]})
    assert result.frame["text"].to_list() == ["Slow accrual"]


def test_the_real_stop_reasons_load_as_open_targets_publishes_its_own(shared_data):
    table = pl.read_parquet(shared_data / "stop_reasons_train.parquet").head(500)
    wide = table.select(
        "text",
        label_descriptions="labels",
        **{label: pl.col("labels").list.contains(label) for label in sorted(STOP.labels)},
    )
    loaded = load_examples(STOP, wide, where="data.json").frame
    expected = load_examples(STOP, table, where="table").frame
    assert loaded["labels"].to_list() == expected["labels"].to_list()
