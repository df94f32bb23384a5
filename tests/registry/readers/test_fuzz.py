"""Damaged sources never crash an import: what is read is kept or set apart, all of it counted."""

import csv
import gzip
import io
import json
import random
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trialtune.errors import DataError
from trialtune.registry.sample import SampleSettings, write_sample
from trialtune.registry.snapshot.build import ImportSummary, import_trials
from trialtune.registry.snapshot.read import read_snapshot

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "registry_v2_studies.jsonl.gz"

VALUES = (
    *(None, True, 0, -1, 1.5, 10**400, float("nan"), "", " ", "\x00", "a\x00b", "\ud800", "x\udce9y"),
    *("2024-05", "2024-13-45", "99/99/9999", "SOMETIMES", "Phase 9", "NCT00000001", "nct1", "|;|", "['"),
    *([], {}, [None], [[["x"]]], {"a": {}}, [{}], "x" * 3_000),
)
BYTES = (b"\x00", b"\xff", b'"', b"\\", b"{", b"}", b"[", b",", b"\xed\xa0\x80", b"\n", b"", b"|", b"<", b"&")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, trial_files: ModuleType) -> list[dict[str, Any]]:
    """A few hundred real studies, or made-up ones: what a snapshot takes of them, the long texts cut."""
    source = SHARED
    if not source.exists():
        folder = tmp_path_factory.mktemp("sample")
        source = write_sample(folder, SampleSettings(studies=300, dirty=0)) / "studies.jsonl.gz"
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line, _ in zip(lines, range(400), strict=False)]
    wanted = {f"{name}Module" for name in trial_files.MODULES}
    protocols = [_cut(study["protocolSection"]) for study in found]
    return [{"protocolSection": {k: v for k, v in p.items() if k in wanted}} for p in protocols]


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value[:3]]
    return value[:200] if isinstance(value, str) else value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def damaged(study: dict[str, Any], rng: random.Random) -> bytes:
    """The study's JSON with some values replaced or taken out, or some bytes, or cut short."""
    text = json.dumps(study)
    kind = rng.random()
    if kind < 0.6:
        study = json.loads(text)
        for container, key in rng.sample(list(places(study)), rng.randrange(1, 6)):
            if rng.random() < 0.3 and isinstance(container, dict):
                container.pop(key, None)
            else:
                container[key] = rng.choice(VALUES)
        return json.dumps(study, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    content = bytearray(text.encode())
    if kind < 0.7:
        return bytes(content[: rng.randrange(len(content))])
    if kind < 0.95:
        spoil(content, rng)
    return bytes(content)


def spoil(content: bytearray, rng: random.Random) -> None:
    """Replace a few bytes."""
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(content))
        content[at : at + rng.randrange(2)] = rng.choice(BYTES)


def check(source: Path) -> ImportSummary:
    """Import, and hold the result to its promises."""
    out = source.parent / "snap.parquet"
    summary = import_trials(source, out)
    assert summary.read == summary.kept + summary.quarantined
    assert sum(summary.reasons.values()) == summary.quarantined
    frame = read_snapshot(out)
    assert frame.height == summary.kept == frame["nct_id"].n_unique()
    lines = summary.quarantine.read_text(encoding="utf-8").splitlines() if summary.quarantine else []
    assert len(lines) == summary.quarantined
    assert all(json.loads(line)["reason"] for line in lines)
    return summary


def renamed(study: dict[str, Any], number: int) -> dict[str, Any]:
    """The study under another NCT id."""
    protocol = study["protocolSection"]
    names = {**protocol["identificationModule"], "nctId": f"NCT{number:08d}"}
    return {"protocolSection": {**protocol, "identificationModule": names}}


def test_ten_thousand_damaged_records(tmp_path: Path, studies: list[dict[str, Any]]) -> None:
    rng = random.Random(5)
    chosen = (renamed(studies[n % len(studies)], n % 9_000) for n in range(10_000))
    content = b"\n".join(damaged(study, rng) for study in chosen)
    (tmp_path / "a.jsonl").write_bytes(content)
    summary = check(tmp_path / "a.jsonl")
    lines = re.split(r"\r\n|\r|\n", content.decode("utf-8", "surrogateescape"))
    assert summary.read == sum(not line.isspace() for line in lines if line)
    assert summary.kept > 4_000
    assert set(summary.reasons) >= {
        *("broken JSON", "no NCT id", "bad NCT id", "unknown sex", "undecodable text", "undecodable bytes"),
        "duplicate NCT id, other content",
    }


def test_damaged_files_of_a_zip(tmp_path: Path, studies: list[dict[str, Any]]) -> None:
    rng = random.Random(6)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(300):
            archive.writestr(f"{number}.json", damaged(renamed(studies[number % len(studies)], number), rng))
    summary = check(tmp_path / "a.zip")
    assert summary.read >= 290  # an empty file is a bad row, a file of blanks none
    assert summary.kept > 100


def test_a_damaged_list_is_read_or_explained(tmp_path: Path, studies: list[dict[str, Any]]) -> None:
    rng = random.Random(7)
    read = 0
    for _ in range(40):
        items = [json.dumps(renamed(study, n)).encode() for n, study in enumerate(studies[:5])]
        content = bytearray(b'{"studies": [' + b",".join(items) + b"]}")
        spoil(content, rng)
        (tmp_path / "a.json").write_bytes(content)
        try:
            read += check(tmp_path / "a.json").read
        except DataError as error:
            assert "a.json" in str(error)
    assert read > 20


def test_damaged_xml_files(tmp_path: Path, studies: list[dict[str, Any]], trial_files: ModuleType) -> None:
    rng = random.Random(8)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(300):
            content = bytearray(trial_files.xml_of(renamed(studies[number % len(studies)], number)))
            if number % 2:
                spoil(content, rng)
            elif number % 10 == 0:
                del content[rng.randrange(len(content)) :]
            archive.writestr(f"{number}.xml", bytes(content))
    summary = check(tmp_path / "a.zip")
    assert summary.read == 300
    assert summary.kept >= 120
    assert "broken XML" in summary.reasons


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_tables(tmp_path: Path, studies: list[dict[str, Any]], trial_files: ModuleType) -> None:
    rng = random.Random(9)
    good = trial_files.aact_of([renamed(study, n) for n, study in enumerate(studies[:60])])
    cells = ("", " ", "NCT00000001", "nct1", "\x00", 'a "b" | c\nd', "99/99/9999", "x" * 3_000, "Sometimes")
    read = 0
    for turn in range(6):
        tables = {name: [list(row) for row in rows] for name, rows in good.items()}
        for rows in filter(None, tables.values()):
            for row in rng.sample(rows, min(5, len(rows))):
                row[rng.randrange(len(row))] = rng.choice(cells)
            rows.append(rng.choice(rows)[: rng.randrange(1, 3)])  # too short
        folder = trial_files.write_folder(tmp_path / "aact", tables)
        if turn % 2:
            name = rng.choice(sorted(tables))
            content = bytearray((folder / f"{name}.txt").read_bytes())
            spoil(content, rng)
            (folder / f"{name}.txt").write_bytes(content)
        try:
            summary = check(folder)
        except DataError as error:
            assert turn % 2 and "aact" in str(error)
        else:
            read += summary.read
            assert summary.reasons["wrong number of cells"] >= 8
    assert read >= 3 * 60


def test_damaged_csv(tmp_path: Path, studies: list[dict[str, Any]]) -> None:
    rng = random.Random(10)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["NCT Number", "Study Title", "Brief Summary", "Sex", "Conditions"])
    for number in range(400):
        row = [f"NCT{number:08d}", f"title {number}", "some, words\nin lines", "ALL", "['Cold', 'Flu']"]
        if number % 3 == 0:
            row[rng.randrange(5)] = rng.choice(["", "\x00", "often", "|", "['", "x" * 3_000, "2024-05"])
        writer.writerow(row[: rng.choice([4, 5, 5, 5])])
    (tmp_path / "a.csv").write_text(stream.getvalue(), encoding="utf-8")
    summary = check(tmp_path / "a.csv")
    assert summary.read == 400
    assert {"wrong number of cells", "unknown sex"} <= set(summary.reasons)
