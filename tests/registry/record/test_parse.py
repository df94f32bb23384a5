"""A trial becomes one row, whatever form it came in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialtune.registry.record import schema as records
from trialtune.registry.record.parse import record_from_row, record_from_study
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA, content_hash
from trialtune.registry.record.text import text_of
from trialtune.registry.record.validate import problems

STUDY = {
    "protocolSection": {
        "identificationModule": {"nctId": " nct01234567 ", "briefTitle": "Zinc\x00 for colds"},
        "statusModule": {
            "overallStatus": "TERMINATED",
            "whyStopped": "Too few\r\nparticipants\x07",
            "startDateStruct": {"date": "2024-05"},
            "lastUpdatePostDateStruct": {"date": "2024-06-30"},
        },
        "descriptionModule": {"briefSummary": "Does zinc help?"},
        "conditionsModule": {"conditions": ["Cold|Flu", "Cold|Flu"], "keywords": ["zinc"]},
        "designModule": {"studyType": "INTERVENTIONAL", "phases": ["PHASE1", "PHASE2"]},
        "armsInterventionsModule": {
            "interventions": [{"type": "DIETARY_SUPPLEMENT", "name": "Zinc"}, {"name": "Rest"}],
            "armGroups": [{"label": "A", "description": "zinc daily"}, {"label": "B"}],
        },
        "outcomesModule": {"primaryOutcomes": [{"measure": "Days ill", "timeFrame": "2 weeks"}]},
        "eligibilityModule": {"eligibilityCriteria": "Adults", "sex": "ALL", "minimumAge": "18 Years"},
    }
}


def test_a_study_fills_every_column() -> None:
    record = record_from_study(STUDY)
    assert list(record) == SNAPSHOT_SCHEMA.names
    assert record["nct_id"] == "NCT01234567"
    assert record["brief_title"] == "Zinc for colds"
    assert record["why_stopped"] == "Too few\nparticipants"
    assert record["conditions"] == ["Cold|Flu"]
    assert record["interventions"] == ["Dietary Supplement: Zinc", "Rest"]
    assert record["arms"] == ["A: zinc daily", "B"]
    assert record["primary_outcomes"] == ["Days ill"]
    assert record["secondary_outcomes"] == []
    assert (record["start_date"], record["last_update_date"]) == ("2024-05", "2024-06-30")
    assert problems(record) == []


def test_the_registrys_own_csv_columns() -> None:
    record = record_from_row(
        {
            "NCT Number": "NCT01234567",
            "Study Title": "Zinc",
            "Study URL": "https://example.org",
            "Study Status": "Active, not recruiting",
            "Brief Summary": "Does zinc help?",
            "Conditions": "Cold|Flu",
            "Interventions": "DRUG: Zinc|DIETARY_SUPPLEMENT: Salt",
            "Primary Outcome Measures": "Days ill, counted by diary, 2 weeks|Fever",
            "Sex": "Both",
            "Phases": "PHASE2|PHASE3",
            "Study Type": "Observational [Patient Registry]",
            "Start Date": "2020-01-31",
            "Last Update Posted": "2021-02",
        }
    )
    assert record["brief_title"] == "Zinc"
    assert record["overall_status"] == "ACTIVE_NOT_RECRUITING"
    assert record["interventions"] == ["Drug: Zinc", "Dietary Supplement: Salt"]
    assert record["primary_outcomes"] == ["Days ill, counted by diary, 2 weeks", "Fever"]
    assert (record["sex"], record["study_type"]) == ("ALL", "OBSERVATIONAL")
    assert record["phases"] == ["PHASE2", "PHASE3"]
    assert record["last_update_date"] == "2021-02"


@pytest.mark.parametrize(
    "name", ["nct_id", "NCTId", "nctid", "trial_id", "NCT Number", "id", "NCT-ID", "study id"]
)
def test_the_id_column_goes_by_many_names(name: str) -> None:
    assert record_from_row({"": 0, name: "NCT01234567", "text": "words"})["nct_id"] == "NCT01234567"


def test_the_reasons_a_record_cannot_be_used() -> None:
    def kinds(**cells: object) -> list[str]:
        row = {"nct_id": "NCT01234567", "text": "words", **cells}
        return [reason.partition(":")[0] for reason in problems(record_from_row(row))]

    assert kinds() == []
    assert kinds(nct_id="") == ["no NCT id"]
    assert kinds(nct_id="NCT123") == ["bad NCT id"]
    assert kinds(nct_id="NCT0123456٣") == ["bad NCT id"]
    assert kinds(text=" \x00 ") == ["no text"]
    assert kinds(sex="unsure") == ["unknown sex"]
    assert kinds(sex="female") == kinds(sex="None") == kinds(gender="Both") == []
    assert kinds(text="x" * 1_000_000) == []
    assert kinds(text="x" * 1_000_001) == ["field too long"]
    assert kinds(text="caf\udce9") == kinds(keywords="\ud800") == ["undecodable text"]


def test_the_hash_is_of_the_content_alone() -> None:
    record = record_from_study(STUDY)
    digest = content_hash(record)
    assert len(digest) == 32
    assert int(digest, 16) >= 0
    moved = {**record, "source": "elsewhere", "data_timestamp": "2030", "last_update_date": "2030"}
    assert content_hash(moved) == digest
    assert content_hash({**record, "keywords": ["zi", "nc"]}) != digest
    assert content_hash({**record, "brief_title": None, "official_title": record["brief_title"]}) != digest
    for field in records.CONTENT_FIELDS:
        assert content_hash({**record, field: ["x"] if isinstance(record[field], list) else "x"}) != digest


@given(st.recursive(st.none() | st.floats() | st.text() | st.booleans(), st.lists, max_leaves=8))
def test_any_cell_gives_a_row(cell: object) -> None:
    record = record_from_row({name: cell for name in SNAPSHOT_SCHEMA.names})
    assert isinstance(problems(record), list)
    assert len(content_hash(record)) == 32
    for name in ("conditions", "phases", "arms"):
        assert all(isinstance(item, str) and item.strip() for item in record[name])


@given(st.text(max_size=300))
def test_no_text_keeps_control_characters(text: str) -> None:
    clean = text_of(text) or ""
    assert not [c for c in clean if (ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160]
