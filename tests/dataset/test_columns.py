"""Prediction reads the very text that training reads."""

from pathlib import Path

import polars as pl
import pytest

from trialtune.dataset.columns import ids_and_texts
from trialtune.dataset.examples import load_examples
from trialtune.dataset.tables import check_table_name
from trialtune.errors import DataError, UsageError
from trialtune.tasks.catalog import load_task, task_from_spec
from trialtune.tasks.spec import TaskSpec
from trialtune.tasks.task import LONGEST


@pytest.mark.parametrize("name", ["stop-reasons", "sex"])
def test_the_same_text_as_in_training(name) -> None:
    task = load_task(name)
    rows = pl.DataFrame(
        {
            "why_stopped": ["Slow  accrual", None, "No &amp; funding"],
            "eligibility_criteria": ["Gender: Female\n\nInclusion Criteria:\n- age 18 \\> 5", None, "Men"],
            "text": [
                "a whole document",
                "Gender: Female\n\nInclusion Criteria:\n- age 18 \\> 5 &gt; x",
                None,
            ],
            "labels": [[next(iter(task.labels))]] * 3,
        }
    )
    read = [text for text in ids_and_texts(task, rows)[1] if text]
    assert read == load_examples(task, rows, where="rows").frame["text"].to_list()


def test_a_field_far_too_long_is_no_text() -> None:
    rows = pl.DataFrame({"text": ["slow", "x" * (LONGEST + 1)]})
    assert ids_and_texts(load_task("stop-reasons"), rows)[1] == ["slow", None]


def test_wrong_columns_and_names_are_refused() -> None:
    with pytest.raises(DataError, match="why_stopped"):
        ids_and_texts(load_task("stop-reasons"), pl.DataFrame({"title": ["a"]}))
    with pytest.raises(DataError, match="must hold text"):
        ids_and_texts(load_task("stop-reasons"), pl.DataFrame({"text": [3]}))
    with pytest.raises(UsageError, match="xlsx"):
        check_table_name(Path("out.xlsx"))


def test_the_way_out_is_named() -> None:
    task = load_task("stop-reasons")
    with pytest.raises(DataError, match=r"rename the column of your texts"):
        ids_and_texts(task, pl.DataFrame({"title": ["a"]}))
    with pytest.raises(DataError, match=r"registry sync --ids ids\.csv"):
        ids_and_texts(task, pl.DataFrame({"NCT Number": ["NCT00000001"]}), where="ids.csv")
    own = task_from_spec(TaskSpec(name="own", kind="multi_class", labels=["A", "B"], text="why"))
    with pytest.raises(DataError, match=r"`text: COLUMN`"):
        ids_and_texts(own, pl.DataFrame({"reason": ["a"]}))
    with pytest.raises(DataError, match=r"`label_columns: COLUMN`"):
        load_examples(own, pl.DataFrame({"why": ["a"], "code": ["A"]}), where="rows.csv")
