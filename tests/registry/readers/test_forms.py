"""Trials in the forms that people have them: each gives the values that its source wrote."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trialtune.errors import DataError
from trialtune.registry.readers.id_list import read_ids
from trialtune.registry.readers.source import read_rows
from trialtune.registry.readers.tables import SITE_HEADER
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.snapshot.read import read_snapshot

FULL = {
    "protocolSection": {
        "identificationModule": {
            "nctId": "NCT00000001",
            "briefTitle": "Zinc",
            "orgStudyIdInfo": {"id": "Z-1"},
            "secondaryIdInfos": [{"id": "2004-000446-20", "type": "EUDRACT_NUMBER"}],
        },
        "statusModule": {
            "overallStatus": "TERMINATED",
            "whyStopped": "Slow",
            "startDateStruct": {"date": "2024-05"},
        },
        "sponsorCollaboratorsModule": {
            "leadSponsor": {"name": "A University", "class": "OTHER"},
            "collaborators": [{"name": "A Company", "class": "INDUSTRY"}],
        },
        "conditionsModule": {"conditions": ["Cold, common", "Flu"]},
        "designModule": {
            "studyType": "INTERVENTIONAL",
            "phases": ["PHASE1", "PHASE2"],
            "designInfo": {"allocation": "NA", "maskingInfo": {"masking": "NONE"}},
            "enrollmentInfo": {"count": 70, "type": "ACTUAL"},
        },
        "armsInterventionsModule": {"interventions": [{"type": "DRUG", "name": "Zinc"}]},
        "outcomesModule": {"primaryOutcomes": [{"measure": "Days ill", "description": "by diary"}]},
        "eligibilityModule": {"eligibilityCriteria": "Adults", "sex": "FEMALE", "healthyVolunteers": False},
        "contactsLocationsModule": {"locations": [{"country": "France"}, {"country": "Chad"}]},
    },
    "hasResults": True,
}


def records(path: Path) -> list[dict[str, Any]]:
    rows = list(read_rows(path))
    assert [row.reason for row in rows] == [None] * len(rows)
    return [{name: value for name, value in (row.record or {}).items() if name != "source"} for row in rows]


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, Any]:
    (record,) = records(write(tmp_path / "expected.jsonl", json.dumps(FULL)))
    assert record["secondary_ids"] == ["Org Study ID: Z-1", "EudraCT: 2004-000446-20"]
    return record


def old_api() -> dict[str, Any]:
    """The same study as the API before 2024 gave it."""
    section = {
        "IdentificationModule": {
            "NCTId": "NCT00000001",
            "BriefTitle": "Zinc",
            "OrgStudyIdInfo": {"OrgStudyId": "Z-1"},
            "SecondaryIdInfoList": {
                "SecondaryIdInfo": [{"SecondaryId": "2004-000446-20", "SecondaryIdType": "EudraCT Number"}]
            },
        },
        "StatusModule": {
            "OverallStatus": "Terminated",
            "WhyStopped": "Slow",
            "StartDateStruct": {"StartDate": "May 2024"},
        },
        "SponsorCollaboratorsModule": {
            "LeadSponsor": {"LeadSponsorName": "A University", "LeadSponsorClass": "OTHER"},
            "CollaboratorList": {"Collaborator": [{"CollaboratorName": "A Company"}]},
        },
        "ConditionsModule": {"ConditionList": {"Condition": ["Cold, common", "Flu"]}},
        "DesignModule": {
            "StudyType": "Interventional",
            "PhaseList": {"Phase": ["Phase 1", "Phase 2"]},
            "DesignInfo": {
                "DesignAllocation": "N/A",
                "DesignMaskingInfo": {"DesignMasking": "None (Open Label)"},
            },
            "EnrollmentInfo": {"EnrollmentCount": "70", "EnrollmentType": "Actual"},
        },
        "ArmsInterventionsModule": {
            "InterventionList": {"Intervention": [{"InterventionType": "Drug", "InterventionName": "Zinc"}]}
        },
        "OutcomesModule": {
            "PrimaryOutcomeList": {
                "PrimaryOutcome": [
                    {"PrimaryOutcomeMeasure": "Days ill", "PrimaryOutcomeDescription": "by diary"}
                ]
            }
        },
        "EligibilityModule": {"EligibilityCriteria": "Adults", "Gender": "Female", "HealthyVolunteers": "No"},
        "ContactsLocationsModule": {
            "LocationList": {"Location": [{"LocationCountry": "France"}, {"LocationCountry": "Chad"}]}
        },
    }
    return {"Study": {"ProtocolSection": section}}


@pytest.mark.parametrize(
    "wrapped",
    [
        {"study": FULL},
        [{"study": FULL}],
        {"NCT00000001": FULL},
        {"data": {"studies": [FULL]}},
        {"totalCount": 1, "data": {"studies": [FULL], "more": 1}},
        [{"nct_id": "NCT00000001", "json": FULL}],
        [{"nct_id": "NCT00000001", "payload": json.dumps(FULL)}],
        FULL["protocolSection"] | {"hasResults": True},
    ],
)
def test_containers_of_studies(tmp_path: Path, expected: dict[str, Any], wrapped: Any) -> None:
    (record,) = records(write(tmp_path / "a.json", json.dumps(wrapped)))
    if "statusModule" in wrapped:
        expected = {**expected, "has_results": None}
    assert record == expected


def test_the_api_that_went_before(tmp_path: Path, expected: dict[str, Any]) -> None:
    whole = {"FullStudiesResponse": {"NStudiesFound": 1, "FullStudies": [{"Rank": 1, **old_api()}]}}
    for name, content in (("a.json", whole), ("b.json", old_api()), ("c.json", [old_api()["Study"]])):
        (record,) = records(write(tmp_path / name, json.dumps(content)))
        assert record == {**expected, "has_results": None}


def test_study_fields_of_the_api_that_went_before(tmp_path: Path) -> None:
    fields = {
        "Rank": 1,
        "NCTId": ["NCT00000001"],
        "BriefTitle": ["Zinc"],
        "Condition": ["Cold, common", "Flu"],
        "InterventionType": ["Drug", "Device"],
        "InterventionName": ["Zinc", "Stent"],
        "ArmGroupLabel": ["A"],
        "PrimaryOutcomeMeasure": ["Days ill", "Fever"],
        "SecondaryOutcomeMeasure": [],
        "Phase": ["Phase 1", "Phase 2"],
        "StartDate": ["May 2024"],
    }
    content = {"StudyFieldsResponse": {"APIVrs": "1", "StudyFields": [fields]}}
    (record,) = records(write(tmp_path / "a.json", json.dumps(content)))
    assert record["conditions"] == ["Cold, common", "Flu"]
    assert record["interventions"] == ["Drug: Zinc", "Device: Stent"]
    assert record["arms"] == ["A"]
    assert record["primary_outcomes"] == ["Days ill", "Fever"]
    assert (record["phases"], record["start_date"]) == (["PHASE1", "PHASE2"], "2024-05")


def test_flattened_studies(tmp_path: Path, expected: dict[str, Any]) -> None:
    frame = pd.json_normalize([FULL])
    frame.to_csv(tmp_path / "dots.csv", index=False)
    frame.to_json(tmp_path / "dots.jsonl", orient="records", lines=True)
    frame.rename(columns=lambda name: name.replace(".", "_")).to_csv(tmp_path / "lines.csv", index=False)
    frame.to_parquet(tmp_path / "dots.parquet")
    for name in ("dots.csv", "dots.jsonl", "lines.csv", "dots.parquet"):
        (record,) = records(tmp_path / name)
        assert record == expected, name


def test_short_flattened_names(tmp_path: Path) -> None:
    cells = {
        "identification_nctId": "NCT00000001",
        "identification_briefTitle": "Zinc",
        "status_whyStopped": "Slow",
        "status_startDateStruct_date": "2024-05",
        "eligibility_sex": "FEMALE",
        "design_enrollmentInfo_count": "70",
        "sponsorCollaborators_leadSponsor_name": "A University",
    }
    (record,) = records(write(tmp_path / "a.jsonl", json.dumps(cells)))
    found = (record["brief_title"], record["why_stopped"], record["start_date"], record["sex"])
    assert found == ("Zinc", "Slow", "2024-05", "FEMALE")
    assert (record["enrollment"], record["lead_sponsor"]) == (70, "A University")


def test_nested_values_of_flat_rows(tmp_path: Path) -> None:
    row = {
        "nct_id": "NCT00000001",
        "interventions": [{"type": "DRUG", "name": "Zinc"}, {"type": "DEVICE", "name": "Stent"}],
        "primary_outcomes": [{"measure": "Days ill", "description": "by diary", "time_frame": "1 week"}],
        "eligibility": {"criteria": "Adults", "sex": "FEMALE", "minimum_age": "18 Years"},
        "conditions": [{"name": "Cold"}],
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    for path in (write(tmp_path / "a.jsonl", json.dumps(row)), tmp_path / "a.parquet"):
        (record,) = records(path)
        assert record["interventions"] == ["Drug: Zinc", "Device: Stent"]
        assert record["primary_outcomes"] == ["Days ill: by diary"]
        assert (record["eligibility_criteria"], record["sex"]) == ("Adults", "FEMALE")
        assert (record["minimum_age"], record["conditions"]) == ("18 Years", ["Cold"])


def test_studies_in_a_parquet_column(tmp_path: Path, expected: dict[str, Any]) -> None:
    as_text = pa.table({"nct_id": ["NCT00000001"], "json": [json.dumps(FULL)]})
    pq.write_table(as_text, tmp_path / "text.parquet")
    pq.write_table(pa.table({"raw": [json.dumps(FULL)]}), tmp_path / "alone.parquet")
    pq.write_table(pa.Table.from_pylist([FULL]), tmp_path / "struct.parquet")
    pq.write_table(pa.Table.from_pylist([{"study": FULL}]), tmp_path / "column.parquet")
    for name in ("text.parquet", "alone.parquet", "struct.parquet", "column.parquet"):
        (record,) = records(tmp_path / name)
        assert record == expected, name


def test_an_object_that_is_no_study_is_named(tmp_path: Path) -> None:
    (row,) = read_rows(write(tmp_path / "a.json", json.dumps({"hits": [1], "took": 3})))
    assert row.reason == "no NCT id: an object of hits, took"


def delimited(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_columns_of_ictrp(tmp_path: Path) -> None:
    cells = {
        "TrialID": "NCT00000001",
        "Public title": "Zinc",
        "Scientific title": "On zinc",
        "Inclusion agemin": "18 Years",
        "Inclusion gender": "Female",
        "Inclusion Criteria": "Adults<br>ill",
        "Exclusion Criteria": "Exclusion Criteria: none",
        "Primary sponsor": "A University",
        "Condition": "Cold<br>Flu",
        "Intervention": "Drug: Zinc;Device: Stent",
        "Recruitment Status": "Not recruiting",
        "Phase": "Phase 2",
        "Date enrollement": "30/11/2016",
        "Target size": "70",
        "Countries": "France",
    }
    other = {**cells, "TrialID": "ISRCTN12345678"}
    first, second = read_rows(delimited(tmp_path / "a.csv", cells, other))
    assert first.record is not None
    assert first.notes is not None
    assert (first.record["brief_title"], first.record["official_title"]) == ("Zinc", "On zinc")
    assert first.record["eligibility_criteria"] == (
        "Inclusion Criteria:\nAdults\nill\n\nExclusion Criteria: none"
    )
    assert first.record["interventions"] == ["Drug: Zinc", "Device: Stent"]
    assert first.record["conditions"] == ["Cold", "Flu"]
    assert (first.record["sex"], first.record["overall_status"]) == ("FEMALE", None)
    assert first.notes.unread == [("overall_status", "Not recruiting")]
    assert (first.record["start_date"], first.record["enrollment"]) == ("2016-11-30", 70)
    assert second.reason == "an id of ISRCTN, not of ClinicalTrials.gov: 'ISRCTN12345678'"


def test_the_columns_of_trial_outcome_benchmarks(tmp_path: Path) -> None:
    cells = {
        "nctid": "NCT00000001",
        "status": "terminated",
        "why_stop": "Slow",
        "label": "0",
        "phase": "phase 2/phase 3",
        "diseases": "['cold', 'flu']",
        "icdcodes": "[\"['J00']\"]",
        "drugs": "['zinc']",
        "criteria": "Adults",
    }
    (record,) = records(delimited(tmp_path / "a.csv", cells))
    assert (record["why_stopped"], record["conditions"]) == ("Slow", ["cold", "flu"])
    assert (record["interventions"], record["phases"]) == (["zinc"], ["PHASE2", "PHASE3"])


def test_the_old_sites_download(tmp_path: Path) -> None:
    header = "NCT Number\tTitle\tStatus\tStudy Results\tConditions\tInterventions\tOutcome Measures\tGender"
    header += "\tPhases\tSponsor/Collaborators\tStudy Designs\tStart Date\tEnrollment\tLocations"
    row = 'NCT00000001\tThe "Zinc" trial\tUnknown status\tHas Results\tCold|Flu\tDrug: Zinc|Device: Stent'
    row += "\tDays ill\tAll\tPhase 1|Phase 2\tA University|A Company"
    row += "\tAllocation: Randomized|Masking: Double (Participant, Investigator)|Primary Purpose: Treatment"
    row += "\tMay 2024\t70\tA Place, Paris, France|B Place, Lyon, France|C, Chad"
    lines = [header, row, row.replace("NCT00000001", "NCT00000002").replace('The "Zinc"', '"Zinc')]
    first, second = records(write(tmp_path / "a.tsv", "\n".join(lines) + "\n"))
    assert (first["brief_title"], second["brief_title"]) == ('The "Zinc" trial', '"Zinc trial')
    assert (first["overall_status"], first["has_results"]) == ("UNKNOWN", True)
    assert (first["primary_outcomes"], first["sex"]) == (["Days ill"], "ALL")
    assert (first["lead_sponsor"], first["collaborators"]) == ("A University", ["A Company"])
    assert (first["allocation"], first["masking"]) == ("RANDOMIZED", "DOUBLE")
    assert (first["primary_purpose"], first["countries"]) == ("TREATMENT", ["France", "Chad"])


def test_postgresqls_text_format(tmp_path: Path) -> None:
    content = "nct_id\tbrief_title\twhy_stopped\tconditions\n"
    content += 'NCT00000001\tZinc\\tand "more"\tSlow\\nMoney\t{Cold,"Flu, human"}\nNCT00000002\tB\t\\N\t{}\n'
    first, second = records(write(tmp_path / "a.tsv", content))
    assert (first["brief_title"], first["why_stopped"]) == ('Zinc\tand "more"', "Slow\nMoney")
    assert first["conditions"] == ["Cold", "Flu, human"]
    assert (second["why_stopped"], second["conditions"]) == (None, [])


def test_pages_of_csv_of_which_the_first_alone_has_a_header(tmp_path: Path) -> None:
    assert len(SITE_HEADER) == 30
    row = [f"x{n}" for n in range(30)]
    row[0], row[14], row[22] = "NCT00000001", "ALL", "2024-05"
    (record,) = records(write(tmp_path / "page2.csv", ",".join(row) + "\n"))
    assert (record["nct_id"], record["brief_title"], record["start_date"]) == ("NCT00000001", "x1", "2024-05")
    folder = tmp_path / "pages"
    folder.mkdir()
    write(folder / "1.csv", "NCT Number,Study Title,Sex\nNCT00000001,a,ALL\n")
    write(folder / "2.csv", "NCT00000002,b,MALE\n")
    assert [record["sex"] for record in records(folder)] == ["ALL", "MALE"]
    with pytest.raises(DataError, match="its first line is a trial"):
        records(write(tmp_path / "alone.csv", "NCT00000002,b,MALE\n"))


@pytest.mark.parametrize(
    ("header", "registry"),
    [
        ("ISRCTN,Title", "ISRCTN"),
        ("DRKS-ID,Title", "DRKS"),
        ("EU CT number,Title", "CTIS"),
        ("EudraCT Number,Title", "EU Clinical Trials Register"),
    ],
)
def test_other_registries_are_named(tmp_path: Path, header: str, registry: str) -> None:
    with pytest.raises(DataError, match=registry):
        records(write(tmp_path / "a.csv", f"{header}\nx,y\n"))


def test_the_whole_column_says_whether_days_come_first(tmp_path: Path) -> None:
    rows = ["NCT00000001,a,03/04/2016", "NCT00000002,b,25/04/2016", "NCT00000003,c,soon"]
    path = write(tmp_path / "a.csv", "\n".join(["nct_id,title,start_date", *rows]))
    summary = import_trials(path, tmp_path / "s.parquet")
    frame = read_snapshot(tmp_path / "s.parquet")
    assert frame["start_date"].to_list() == ["2016-04-03", "2016-04-25", None]
    assert summary.unread == {"start_date": {"count": 1, "examples": {"soon": 1}}}
    assert summary.guessed == {}
    write(path, "\n".join(["nct_id,title,start_date", *rows[:1]]))
    summary = import_trials(path, tmp_path / "s.parquet")
    assert read_snapshot(tmp_path / "s.parquet")["start_date"].to_list() == ["2016-03-04"]
    assert summary.guessed == {"start_date": {"count": 1, "examples": {"03/04/2016": 1}}}


def test_columns_used_and_not_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "NCT Number,Study Title,Acronym,Whatever\nNCT00000001,a,b,c\n")
    summary = import_trials(path, tmp_path / "s.parquet")
    assert summary.columns_used == {"NCT Number": "nct_id", "Study Title": "brief_title"}
    assert summary.columns_not_used == ("Acronym", "Whatever")
    path = write(tmp_path / "a.jsonl", '{"nct_id": "NCT00000001", "title": "a", "whatever": 1}\n')
    summary = import_trials(path, tmp_path / "s.parquet")
    assert summary.columns_not_used == ("whatever",)


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".parquet"])
def test_aacts_tables_in_any_wrapping(
    tmp_path: Path, trial_files: Any, expected: dict[str, Any], suffix: str
) -> None:
    folder = trial_files.write_folder(tmp_path / "aact", trial_files.aact_of([FULL]), suffix)
    (record,) = records(folder)
    assert record == expected


def test_packed_tables_and_files_beside_them(
    tmp_path: Path, trial_files: Any, expected: dict[str, Any]
) -> None:
    folder = trial_files.write_folder(tmp_path / "aact", trial_files.aact_of([FULL]), ".csv")
    for file in list(folder.iterdir()):
        (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    write(folder / "notes.csv", "a,b\n")
    (record,) = records(folder)
    assert record == expected
    summary = import_trials(folder, tmp_path / "s.parquet")
    assert summary.warnings == (f"{folder}: ignored next to AACT's tables: notes.csv",)


def test_one_table_of_aact_alone(tmp_path: Path, trial_files: Any) -> None:
    folder = trial_files.write_folder(tmp_path / "aact", trial_files.aact_of([FULL]), ".csv")
    summary = import_trials(folder / "studies.csv", tmp_path / "s.parquet")
    assert "AACT's table studies alone" in summary.warnings[0]
    frame = read_snapshot(tmp_path / "s.parquet")
    assert (frame["lead_sponsor"][0], frame["start_date"][0]) == ("A University", "2024-05")
    for name in ("conditions", "interventions", "sponsors"):
        with pytest.raises(DataError, match=f"AACT's table {name}"):
            import_trials(folder / f"{name}.csv", tmp_path / "s.parquet")


def test_real_studies_of_aact_alone_have_true_months(tmp_path: Path, shared_data: Path) -> None:
    summary = import_trials(shared_data / "aact_2022_studies.csv.gz", tmp_path / "s.parquet")
    assert (summary.read, summary.quarantined) == (42_218, 0)
    assert summary.unread == {}
    frame = read_snapshot(tmp_path / "s.parquet")
    assert frame.filter(pl.col("start_date").str.len_chars() == 7).height == 21_493


def test_the_newest_version_wins(tmp_path: Path) -> None:
    rows = [
        {"nct_id": "NCT00000001", "title": "new", "last_update_date": "2024-05-02"},
        {"nct_id": "NCT00000001", "title": "old", "last_update_date": "2023-05-02"},
        {"nct_id": "NCT00000002", "title": "old", "last_update_date": "2023-05-02"},
        {"nct_id": "NCT00000002", "title": "new", "last_update_date": "2024-05-02"},
        {"nct_id": "NCT00000003", "title": "old", "version": "9"},
        {"nct_id": "NCT00000003", "title": "new", "version": "10"},
        {"nct_id": "NCT00000003", "title": "older", "version": "8"},
        {"nct_id": "NCT00000004", "title": "first"},
        {"nct_id": "NCT00000004", "title": "last"},
    ]
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    summary = import_trials(path, tmp_path / "s.parquet")
    frame = read_snapshot(tmp_path / "s.parquet")
    assert frame["brief_title"].to_list() == ["new", "new", "new", "last"]
    assert (summary.read, summary.kept, summary.quarantined) == (9, 4, 5)
    assert summary.reasons == {"duplicate NCT id, other content": 5}


def test_id_lists(tmp_path: Path) -> None:
    forms = {
        "a.txt": 'NCT00000001, NCT00000002\n"NCT00000003",\tnct00000004\n'
        "https://clinicaltrials.gov/study/NCT00000005\n",
        "b.csv": "NCT00000001\nNCT00000002\nNCT00000003,\nNCT00000004\nNCT00000005\n",
        "c.csv": "NCT00000001,NCT00000002\nNCT00000003,NCT00000004\nNCT00000005\n",
        "d.csv": "NCT Number,Title\n" + "".join(f"NCT0000000{n},a\n" for n in range(1, 6)),
        "e.txt": "['NCT00000001', 'NCT00000002', 'NCT00000003']\nNCT00000004;NCT00000005.\n",
    }
    for name, content in forms.items():
        found = read_ids(write(tmp_path / name, content))
        assert found.ids == tuple(f"NCT0000000{n}" for n in range(1, 6)), name
        assert found.bad == 0, name
    found = read_ids(write(tmp_path / "f.txt", "NCT00000001\nNCT123\nISRCTN12345678\n"))
    assert (found.ids, found.bad) == (("NCT00000001",), 2)


@pytest.mark.parametrize("version", [{}, [], 3, "x", None, "2024-06-10"])
def test_a_version_of_any_kind_is_no_trouble(tmp_path: Path, version: object) -> None:
    study = {**FULL, "derivedSection": {"miscInfoModule": {"versionHolder": version}}}
    path = write(tmp_path / "a.jsonl", (json.dumps(study) + "\n") * 2)
    assert import_trials(path, tmp_path / "s.parquet").kept == 1
