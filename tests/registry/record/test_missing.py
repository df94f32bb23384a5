"""A missing value is nothing, however a program spells it; a sentence about nothing is a text."""

import pytest

from trialtune.registry.record.parse import record_from_row, record_from_study
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.record.validate import problems
from trialtune.tasks.catalog import load_task

SPELLINGS = (
    "NA",
    "N/A",
    "nan",
    "NaN",
    "None",
    "NULL",
    "null",
    "<NA>",
    "\\N",
    "-",
    ".",
    " NA ",
    "#N/A",
    "NaT",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_missing_value_is_nothing_in_every_column(spelling: str) -> None:
    row = dict.fromkeys(SNAPSHOT_SCHEMA.names, spelling) | {"nct_id": "NCT01234567", "brief_title": "Zinc"}
    record = record_from_row(row)
    # In these, the registry's own words for "not applicable" and "open label".
    known = {"phases", "allocation", "masking"}
    assert {
        name: value for name, value in record.items() if value not in (None, []) and name not in known
    } == {
        "nct_id": "NCT01234567",
        "brief_title": "Zinc",
    }
    assert record["phases"] == (["NA"] if spelling.strip() in ("NA", "N/A") else [])
    assert problems(record) == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_api_and_the_tasks_know_them_too(spelling: str) -> None:
    protocol = {
        "identificationModule": {"nctId": "NCT01234567", "briefTitle": "Zinc"},
        "statusModule": {"whyStopped": spelling},
        "conditionsModule": {"conditions": [spelling, "Cold"]},
    }
    record = record_from_study({"protocolSection": protocol})
    assert (record["why_stopped"], record["conditions"]) == (None, ["Cold"])
    task = load_task("stop-reasons")
    assert task.text_of({"why_stopped": spelling}) is None


@pytest.mark.parametrize(
    "text", ["None of the sites enrolled", "N/A - study never started", "No funding.", "NA+"]
)
def test_a_sentence_is_kept(text: str) -> None:
    assert record_from_row({"nct_id": "NCT01234567", "why_stopped": text})["why_stopped"] == text
