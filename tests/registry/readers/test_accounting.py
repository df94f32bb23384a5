"""Of a damaged file of any form, every trial is in the snapshot or in quarantine, or the error says why."""

import csv
import io
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trialtune.errors import DataError
from trialtune.registry.readers.source import read_rows
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.snapshot.read import read_snapshot

TRIALS = 25
BYTES = (b'"', b",", b"\t", b"|", b"\n", b"\\", b"{", b"'", b"\xff", b"\x00", b"")
ID = re.compile(rb"NCT\d{8}")


def study(number: int) -> dict[str, Any]:
    return {
        "protocolSection": {
            "identificationModule": {"nctId": f"NCT{number:08d}", "briefTitle": f'A "trial", {number}'},
            "statusModule": {"overallStatus": "TERMINATED", "whyStopped": "Slow,\nand no money"},
            "conditionsModule": {"conditions": ["Cold, common", "Flu"]},
            "designModule": {"studyType": "INTERVENTIONAL", "phases": ["PHASE2"]},
            "eligibilityModule": {"eligibilityCriteria": "* Adults\n* Ill", "sex": "ALL"},
        }
    }


STUDIES = [study(number) for number in range(1, TRIALS + 1)]


def flat_rows() -> list[dict[str, Any]]:
    rows = []
    for each in STUDIES:
        protocol = each["protocolSection"]
        rows.append(
            {
                **{"nct_id": protocol["identificationModule"]["nctId"]},
                "brief_title": protocol["identificationModule"]["briefTitle"],
                "why_stopped": protocol["statusModule"]["whyStopped"],
                "conditions": "|".join(protocol["conditionsModule"]["conditions"]),
                "eligibility_criteria": protocol["eligibilityModule"]["eligibilityCriteria"],
                "sex": "ALL",
            }
        )
    return rows


def table(delimiter: str, quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(
        stream, list(flat_rows()[0]), delimiter=delimiter, quoting=quoting, lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(flat_rows())
    return stream.getvalue().encode()


def unquoted() -> bytes:
    rows = [
        list(flat_rows()[0]),
        *([str(cell).replace("\n", " ") for cell in row.values()] for row in flat_rows()),
    ]
    return "".join("\t".join(row) + "\n" for row in rows).encode()


FORMS: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: table(","),
    "quoted.csv": lambda: table(",", csv.QUOTE_ALL),
    "semicolons.csv": lambda: table(";"),
    "a.tsv": lambda: table("\t"),
    "unquoted.tsv": unquoted,
    "flat.jsonl": lambda: "".join(json.dumps(row) + "\n" for row in flat_rows()).encode(),
    "a.jsonl": lambda: "".join(json.dumps(each) + "\n" for each in STUDIES).encode(),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    spoiled = bytearray(content)
    header = content.index(b"\n") + 1
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(header, len(spoiled))
        spoiled[at : at + rng.randrange(2)] = rng.choice(BYTES)
    return bytes(spoiled)


def accounted(source: Path) -> set[bytes]:
    """The ids kept or named in quarantine, of an import whose counts add up."""
    out = source.parent / "out.parquet"
    summary = import_trials(source, out)
    assert summary.read == summary.kept + summary.quarantined
    assert sum(summary.reasons.values()) == summary.quarantined
    kept = {nct_id.encode() for nct_id in read_snapshot(out)["nct_id"]}
    assert len(kept) == summary.kept
    refused = summary.quarantine.read_bytes() if summary.quarantine else b""
    return kept | set(ID.findall(refused))


@pytest.mark.parametrize("name", FORMS)
def test_no_trial_is_lost(name: str, tmp_path: Path) -> None:
    whole = FORMS[name]()
    source = tmp_path / name
    source.write_bytes(whole)
    assert [row.reason for row in read_rows(source)] == [None] * TRIALS
    rng = random.Random(name)
    for _ in range(60):
        content = damaged(whole, rng)
        source.write_bytes(content)
        assert accounted(source) >= set(ID.findall(content))


# pyarrow says so of a row that is not UTF-8, where it calls back.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv"])
def test_no_trial_of_aacts_tables_is_lost(suffix: str, tmp_path: Path, trial_files: ModuleType) -> None:
    rng = random.Random(suffix)
    explained = 0
    for _ in range(20):
        folder = trial_files.write_folder(tmp_path / "aact", trial_files.aact_of(STUDIES), suffix)
        file = folder / f"{rng.choice(['studies', 'eligibilities', 'conditions'])}{suffix}"
        content = damaged(file.read_bytes(), rng)
        file.write_bytes(content)
        try:
            found = accounted(folder)
        except DataError as error:
            assert file.name in str(error)
            explained += 1
        else:
            assert found >= set(ID.findall(content))
    assert explained < 20
