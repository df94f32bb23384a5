"""The registry's old XML gives the trials that the API's JSON gives; no entity of it is expanded."""

import gzip
import json
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trialtune.registry.readers.source import read_rows
from trialtune.registry.record.parse import record_from_study
from trialtune.registry.record.schema import GROUP_COLUMNS, content_hash

STUDY: dict[str, Any] = {
    "protocolSection": {
        "identificationModule": {
            "nctId": "NCT00000001",
            "briefTitle": "Zinc & cold",
            "officialTitle": "On <zinc>",
        },
        "statusModule": {
            "overallStatus": "TERMINATED",
            "whyStopped": "Slow accrual",
            "startDateStruct": {"date": "2004-05"},
            "lastUpdatePostDateStruct": {"date": "2014-05-06"},
        },
        "descriptionModule": {"briefSummary": "Short.", "detailedDescription": "Long,\n\n  in lines."},
        "conditionsModule": {"conditions": ["Cold", "a; b|c"], "keywords": ["zinc"]},
        "designModule": {"studyType": "INTERVENTIONAL", "phases": ["PHASE1", "PHASE2"]},
        "armsInterventionsModule": {
            "interventions": [{"type": "DIETARY_SUPPLEMENT", "name": "Zinc"}],
            "armGroups": [{"label": "A", "description": "zinc"}, {"label": "B"}],
        },
        "outcomesModule": {
            "primaryOutcomes": [{"measure": "Days ill", "description": "by diary"}],
            "secondaryOutcomes": [{"measure": "Fever"}],
        },
        "eligibilityModule": {"eligibilityCriteria": "Adults", "sex": "FEMALE", "minimumAge": "18 Years"},
    }
}


def test_xml_says_what_json_says(tmp_path: Path, trial_files: ModuleType) -> None:
    content = trial_files.xml_of(STUDY)
    (tmp_path / "a.xml").write_bytes(content)
    (tmp_path / "a.xml.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("NCT0000xxxx/NCT00000001.xml", content)
        archive.writestr("Contents.txt", "notes")
    expected = record_from_study(STUDY)
    for name in ("a.xml", "a.xml.gz", "a.zip"):
        (row,) = read_rows(tmp_path / name)
        assert row.record == {
            **expected,
            "source": name,
            "has_results": False,
            "row_hash": content_hash(expected),
        }


def test_real_trials_through_xml_and_json_are_alike(
    tmp_path: Path, trial_files: ModuleType, shared_data: Path
) -> None:
    with gzip.open(shared_data / "registry_v2_studies.jsonl.gz", "rt", encoding="utf-8") as lines:
        studies = [json.loads(line) for line, _ in zip(lines, range(300), strict=False)]
    for study in studies:
        name = study["protocolSection"]["identificationModule"]["nctId"]
        (tmp_path / f"{name}.xml").write_bytes(trial_files.xml_of(study))
    found = {row.record["nct_id"]: row.record for row in read_rows(tmp_path) if row.record}
    for record in map(record_from_study, studies):
        read = found[record["nct_id"]]
        assert content_hash(read) == content_hash(record)
        # The old XML has no kinds of ids.
        ids = [[text.partition(": ")[2] for text in one["secondary_ids"]] for one in (read, record)]
        assert ids[0] == ids[1]
        others = [name for name in GROUP_COLUMNS if name != "secondary_ids"]
        assert {name: read[name] for name in others} == {name: record[name] for name in others}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<clinical_study><id_info>", "broken XML"),
        (b"", "empty"),
        (b"<html><body>Not found</body></html>", "not a study"),
        (b"<clinical_study><brief_title>x</brief_title></clinical_study>", "no NCT id"),
        (b'<?xml version="1.0" encoding="nonsense"?><clinical_study/>', "broken XML"),
        (
            b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><clinical_study>&b;</clinical_study>',
            "forbidden XML",
        ),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><clinical_study/>', "forbidden XML"),
        (b"<clinical_study><brief_title>caf\xe9</brief_title></clinical_study>", "broken XML"),
        (b"<a>" * 20_000 + b"</a>" * 20_000, "not a study"),
    ],
)
def test_files_that_are_no_study_are_set_apart(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "a.xml").write_bytes(content)
    (tmp_path / "b.json").write_text(json.dumps(STUDY))
    bad, good = read_rows(tmp_path)
    assert bad.kind == kind
    assert good.record is not None
