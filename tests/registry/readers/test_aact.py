"""AACT's tables give the same trials as the API's JSON; what is broken in them is set apart or explained."""

import gzip
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialtune.errors import DataError
from trialtune.registry.readers.aact import aact_tables
from trialtune.registry.readers.source import read_rows
from trialtune.registry.record.schema import COLUMNS
from trialtune.registry.snapshot.build import ImportSummary, import_trials
from trialtune.registry.snapshot.read import read_snapshot

COMPARED = [name for name in COLUMNS if name not in ("source", "data_timestamp", "row_hash")]
STAMP = "2024-01-01T00:00:00Z"


def study(number: int, **conditions: list[str]) -> dict[str, Any]:
    return {
        "protocolSection": {
            "identificationModule": {
                "nctId": f"NCT{number:08d}",
                "briefTitle": f'Étude "{number}" | on\nzinc',
            },
            "statusModule": {
                "overallStatus": "COMPLETED",
                "startDateStruct": {"date": "2024-05"},
                "completionDateStruct": {"date": "2025-01-31"},
            },
            "sponsorCollaboratorsModule": {
                "leadSponsor": {"name": "A University", "class": "OTHER"},
                "collaborators": [{"name": "A Company", "class": "INDUSTRY"}],
            },
            "contactsLocationsModule": {"locations": [{"country": c} for c in ("France", "Chad", "France")]},
            "descriptionModule": {"briefSummary": f"Short {number}.", "detailedDescription": "Long;\n| it."},
            "conditionsModule": conditions or {"conditions": ["b; c", "a|b"], "keywords": ["k"]},
            "designModule": {
                "studyType": "INTERVENTIONAL",
                "phases": ["PHASE1", "PHASE2"],
                "designInfo": {"allocation": "RANDOMIZED", "maskingInfo": {"masking": "NONE"}},
                "enrollmentInfo": {"count": 70, "type": "ACTUAL"},
            },
            "armsInterventionsModule": {
                "interventions": [{"type": "DIETARY_SUPPLEMENT", "name": "Zinc"}],
                "armGroups": [{"label": "A", "description": "zinc"}, {"label": "B"}],
            },
            "outcomesModule": {
                "primaryOutcomes": [{"measure": f"m{n}", "description": "d"} for n in range(12)],
                "secondaryOutcomes": [{"measure": "Fever"}],
            },
            "eligibilityModule": {"sex": "ALL", "minimumAge": "18 Years", "eligibilityCriteria": "* Adults"},
        }
    }


STUDIES = [study(n) for n in (5, 3, 9)]


def imported(source: Path) -> tuple[ImportSummary, pl.DataFrame]:
    out = source.parent / "snap.parquet"
    summary = import_trials(source, out, data_timestamp=STAMP)
    assert summary.read == summary.kept + summary.quarantined
    assert sum(summary.reasons.values()) == summary.quarantined
    return summary, read_snapshot(out)


def from_json(folder: Path, studies: list[dict[str, Any]]) -> pl.DataFrame:
    source = folder / "studies.jsonl"
    source.write_text("".join(json.dumps(s) + "\n" for s in studies))
    import_trials(source, folder / "json.parquet", data_timestamp=STAMP)
    return read_snapshot(folder / "json.parquet").sort("nct_id")


@pytest.mark.parametrize("write", ["write_folder", "write_zip"])
def test_tables_give_the_trials_that_json_gives(write: str, tmp_path: Path, trial_files: ModuleType) -> None:
    tables = trial_files.aact_of(STUDIES)
    summary, frame = imported(getattr(trial_files, write)(tmp_path / "aact.zip", tables))
    assert (summary.kept, summary.quarantined, summary.warnings) == (3, 0, ())
    expected = from_json(tmp_path, STUDIES)
    assert frame.select(COMPARED).equals(expected.select(COMPARED))
    assert frame["row_hash"].equals(expected["row_hash"])
    assert frame["primary_outcomes"][0].to_list()[9:] == ["m9: d", "m10: d", "m11: d"]


def test_real_trials_through_aact_and_json_are_alike(
    tmp_path: Path, trial_files: ModuleType, shared_data: Path
) -> None:
    with gzip.open(shared_data / "registry_v2_studies.jsonl.gz", "rt", encoding="utf-8") as lines:
        studies = [json.loads(line) for line in lines]
    summary, frame = imported(trial_files.write_zip(tmp_path / "aact.zip", trial_files.aact_of(studies)))
    assert (summary.kept, summary.quarantined) == (len(studies), 0)
    expected = from_json(tmp_path, studies)
    assert frame["row_hash"].equals(expected["row_hash"])
    assert frame.select(COMPARED).equals(expected.select(COMPARED))


def test_the_number_of_processes_does_not_show(
    tmp_path: Path, trial_files: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trialtune.registry.snapshot.build.SHARED_BYTES", 0)
    source = trial_files.write_zip(tmp_path / "aact.zip", trial_files.aact_of([*STUDIES, STUDIES[0]]))
    for workers in (1, 2):
        summary = import_trials(source, tmp_path / f"{workers}.parquet", workers=workers)
        assert summary.reasons == {"duplicate NCT id, same content": 1, "second row of a trial": 5}
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_missing_tables_and_columns_are_told_and_left_empty(tmp_path: Path, trial_files: ModuleType) -> None:
    tables = trial_files.aact_of(STUDIES)
    folder = trial_files.write_folder(tmp_path / "aact", {n: r for n, r in tables.items() if n != "keywords"})
    (folder / "conditions.txt").write_text("nct_id\nNCT00000003\n")
    summary, frame = imported(folder)
    assert summary.kept == 3
    assert frame["keywords"].to_list() == frame["conditions"].to_list() == [[], [], []]
    assert [warning.partition(": ")[2] for warning in summary.warnings] == [
        "conditions.txt has no column name; it stays empty",
        "AACT's table keywords.txt is missing; its fields stay empty",
    ]


def test_rows_that_fit_nowhere_are_set_apart(tmp_path: Path, trial_files: ModuleType) -> None:
    tables = trial_files.aact_of([study(3), study(5), study(7)])
    tables["studies"] = [row for row in tables["studies"] if row[0] != "NCT00000005"]
    tables["studies"].append(["", *tables["studies"][0][1:]])
    tables["eligibilities"].append(["9", "NCT00000003", "MALE", "", "", "", ""])
    folder = trial_files.write_folder(tmp_path / "aact", tables)
    with (folder / "keywords.txt").open("ab") as handle:
        handle.write(b"too|few\n12|NCT00000003|caf\xe9|cafe\n13|NCT00000099|after|after\n")
    summary, frame = imported(folder)
    assert frame["nct_id"].to_list() == ["NCT00000007"]
    assert frame["sex"].to_list() == ["ALL"]
    assert summary.reasons == {
        "wrong number of cells": 1,
        "no NCT id": 1,
        "undecodable text": 1,
        "second row of a trial": 1,
        "trial not in studies.txt": 30,
    }
    assert summary.quarantine is not None
    entries = [json.loads(line) for line in summary.quarantine.read_text().splitlines()]
    (line,) = (entry for entry in entries if entry["reason"].startswith("wrong number"))
    assert (line["file"], line["row"], line["raw"]) == ("keywords.txt", 4, {"line": "too|few"})
    assert [e["row"] for e in entries if e["nct_id"] == "NCT00000099"] == [6]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("studies", b"nct_id,brief_title\nNCT00000001,a\n", "delimited by '|'"),
        ("studies", b"nct_id\tbrief_title\nNCT00000001\ta\n", "a delimiter other than '|'"),
        ("conditions", b"", "empty"),
        (
            "conditions",
            b'nct_id|name\nNCT00000001|a\nNCT00000003|"open\nNCT00000005|b\n',
            "quotes are unbalanced",
        ),
        ("conditions", b'nct_id|name\nNCT00000001|a\nNCT00000003|"' + b"x\n" * 9_000_000, "are unbalanced"),
        (
            "conditions",
            b'nct_id|name\nNCT00000001|a\nNCT00000003|"' + b"x\n" * 20_000_000,
            "so a quote before it is unclosed",
        ),
        ("conditions", b"nct_id|name|name\n", "two columns have the same name"),
        ("conditions", b"nct_id|name\nNCT00000001|caf\xe9|x\n", "nor valid UTF-8"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tables_that_cannot_be_read_say_so(
    tmp_path: Path, trial_files: ModuleType, name: str, content: bytes, words: str
) -> None:
    folder = trial_files.write_folder(tmp_path / "aact", trial_files.aact_of(STUDIES))
    (folder / f"{name}.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}\.txt") as caught:
        list(read_rows(folder))
    assert words in str(caught.value)


def test_a_table_that_breaks_off_late_is_explained(tmp_path: Path, trial_files: ModuleType) -> None:
    folder = trial_files.write_folder(tmp_path / "aact", trial_files.aact_of(STUDIES))
    names = b"".join(b"NCT%08d|%s\n" % (n, b"word " * 200) for n in range(20_000))
    (folder / "conditions.txt").write_bytes(b"nct_id|name\n" + names + b'NCT00000003|"open\n')
    with pytest.raises(DataError, match=r"aact: conditions\.txt: the quotes are unbalanced"):
        list(read_rows(folder))


def test_tables_without_studies_are_no_source(tmp_path: Path, trial_files: ModuleType) -> None:
    tables = {name: rows for name, rows in trial_files.aact_of(STUDIES).items() if name != "studies"}
    for source in (
        trial_files.write_folder(tmp_path / "aact", tables),
        trial_files.write_zip(tmp_path / "aact.zip", tables),
    ):
        with pytest.raises(DataError, match=r"aact(\.zip)?: AACT's table studies\.txt is missing"):
            list(read_rows(source))
    assert aact_tables(["notes/keywords.txt", "a.json"], "x", required=False) == {}
    with pytest.raises(DataError, match="two tables"):
        aact_tables(["a/studies.txt", "b/studies.txt"], "x", required=True)


def test_empty_tables_hold_no_trial(tmp_path: Path, trial_files: ModuleType) -> None:
    with pytest.raises(DataError, match="has no trials"):
        imported(trial_files.write_folder(tmp_path / "aact", trial_files.aact_of([])))


WORDS = st.text("ab '\"|,;.*>=\n-", max_size=30).filter(
    lambda text: not text.strip() or text.strip(".-' \"\n")
)
TEXTS = st.fixed_dictionaries(
    {"summary": WORDS, "description": WORDS, "criteria": WORDS, "why": WORDS, "arm": WORDS, "outcome": WORDS}
)


@given(st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from([".txt", ".csv", ".tsv"]))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_the_exporter_writes_reads_back_but_for_what_it_loses(
    tmp_path: Path, trial_files: ModuleType, texts: list[dict[str, str]], suffix: str
) -> None:
    studies = []
    for number, text in enumerate(texts, start=1):
        each = study(number)
        protocol = each["protocolSection"]
        protocol["identificationModule"]["briefTitle"] = "Zinc"  # a title has no line breaks
        protocol["descriptionModule"] = {
            "briefSummary": text["summary"],
            "detailedDescription": text["description"],
        }
        protocol["eligibilityModule"]["eligibilityCriteria"] = text["criteria"]
        protocol["statusModule"]["whyStopped"] = text["why"]
        protocol["armsInterventionsModule"]["armGroups"] = [{"label": "A", "description": text["arm"]}]
        protocol["outcomesModule"]["primaryOutcomes"] = [{"measure": "m", "description": text["outcome"]}]
        studies.append(each)
    folder = trial_files.write_folder(tmp_path / suffix[1:], trial_files.aact_of(studies), suffix)
    for file in folder.iterdir():
        file.write_text(trial_files.exported(file.read_text(encoding="utf-8")), encoding="utf-8")
    _, frame = imported(folder)
    expected = from_json(tmp_path, studies)
    assert frame["row_hash"].equals(expected["row_hash"])
    for name in ("brief_summary", "eligibility_criteria", "why_stopped"):
        for found, wrote in zip(frame[name], expected[name], strict=True):
            lines = [line.strip() for line in (wrote or "").replace('"', "").splitlines() if line.strip()]
            assert [line.strip() for line in (found or "").splitlines() if line.strip()] == lines
