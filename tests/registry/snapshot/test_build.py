"""An import keeps what is usable, says what is not, and always gives the same bytes."""

import copy
import gzip
import hashlib
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialtune.errors import DataError, UsageError
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.snapshot.read import read_snapshot, scan_snapshot, snapshot_metadata


def flat(number: int, **cells: Any) -> dict[str, Any]:
    return {"nct_id": f"NCT{number:08d}", "text": f"words {number}", **cells}


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_counts_add_up_and_the_quarantine_says_why(tmp_path: Path) -> None:
    rows = [
        flat(1, conditions=["Cold"]),
        flat(1, conditions=["Cold"]),
        flat(1, conditions=["Flu"]),
        flat(2, sex="often"),
        {"text": "x" * 3_000},
        flat(3, brief_title="half \ud800"),
        flat(4),
    ]
    source = write_jsonl(tmp_path / "a.jsonl", rows)
    told: list[int] = []
    summary = import_trials(source, tmp_path / "out" / "snap.parquet", progress=told.append)
    assert (summary.read, summary.kept, summary.quarantined) == (7, 2, 5)
    assert sum(told) == 7
    assert summary.reasons == {
        "duplicate NCT id, same content": 1,
        "duplicate NCT id, other content": 1,
        "unknown sex": 1,
        "no NCT id": 1,
        "undecodable text": 1,
    }
    assert summary.quarantine == tmp_path / "out" / "snap.quarantine.jsonl"
    assert json.loads(json.dumps(summary.as_dict()))["kept"] == 2
    entries = [json.loads(line) for line in summary.quarantine.read_text().splitlines()]
    assert [(entry["row"], entry["nct_id"]) for entry in entries] == [
        *((2, "NCT00000001"), (4, "NCT00000002"), (5, None), (6, "NCT00000003"), (1, "NCT00000001")),
    ]
    assert entries[0]["reason"].endswith("NCT00000001 is kept from a.jsonl row 1")
    assert entries[4]["reason"].endswith("NCT00000001 is kept from a.jsonl row 3")
    assert entries[2]["raw"]["text"].endswith("… [3,000 characters in all]")
    assert duckdb.sql(f"select count(*) from read_json('{summary.quarantine}')").fetchall() == [(5,)]


def test_a_clean_import_leaves_no_quarantine(tmp_path: Path) -> None:
    out = tmp_path / "snap.parquet"
    summary = import_trials(write_jsonl(tmp_path / "a.jsonl", [flat(1), {}]), out)
    assert summary.quarantine is not None
    summary = import_trials(write_jsonl(tmp_path / "a.jsonl", [flat(1)]), out)
    assert summary.quarantine is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "snap.parquet"]


def test_nothing_usable_is_an_error_and_no_snapshot(tmp_path: Path) -> None:
    out = tmp_path / "snap.parquet"
    with pytest.raises(
        DataError, match=r"none of its 2 rows is usable: no NCT id \(2\).*snap.quarantine.jsonl"
    ):
        import_trials(write_jsonl(tmp_path / "a.jsonl", [{}, {"text": "words"}]), out)
    assert not out.exists()
    assert (tmp_path / "snap.quarantine.jsonl").read_text().count("\n") == 2
    with pytest.raises(DataError, match="has no trials"):
        import_trials(write_jsonl(tmp_path / "b.jsonl", []), out)
    assert not list(tmp_path.glob(".*"))


def test_a_source_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl.gz"
    lines = "".join(json.dumps(flat(n)) + "\n" for n in range(5_000)) + "{}\n"
    source.write_bytes(gzip.compress(lines.encode())[:-500])
    with pytest.raises(DataError, match="truncated after"):
        import_trials(source, tmp_path / "snap.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl.gz"]


def test_a_file_mostly_undecodable_has_another_encoding(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_bytes(
        b"nct_id,text\n" + b"".join(b"NCT%08d,caf\xe9\n" % n for n in range(5)) + b"NCT00000009,x\n"
    )
    with pytest.raises(DataError, match=r"5 of 6 rows do not decode.*--encoding"):
        import_trials(source, tmp_path / "snap.parquet")
    assert import_trials(source, tmp_path / "snap.parquet", encoding="cp1252").kept == 6


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "a.jsonl", [flat(n, source="mine" if n else "") for n in range(3)])
    os.utime(source, (1e9, 1e9))
    for name in ("one.parquet", "two.parquet"):
        import_trials(source, tmp_path / name)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    metadata = snapshot_metadata(tmp_path / "one.parquet")
    assert metadata["data_timestamp"] == "2001-09-09T01:46:40Z"
    assert metadata["source"] == "a.jsonl"
    assert len(metadata["source_sha256"]) == 64
    frame = read_snapshot(tmp_path / "one.parquet")
    assert frame["source"].to_list() == ["a.jsonl", "mine", "mine"]
    assert set(frame["data_timestamp"]) == {"2001-09-09T01:46:40Z"}


def test_the_number_of_processes_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trialtune.registry.snapshot.build.SHARED_BYTES", 0)
    rows = [
        flat(n % 2_500, conditions=["a", f"b{n}"], phases="Phase 9" if n % 7 else "2") for n in range(3_000)
    ]
    source = tmp_path / "a.jsonl"
    lines = [json.dumps(row) for row in rows]
    source.write_text("\ufeff" + "\r\n".join([*lines[:1_500], "{broken", "", *lines[1_500:]]))
    summaries = [
        import_trials(source, tmp_path / f"{workers}.parquet", workers=workers) for workers in (1, 2)
    ]
    one, two = ({**summary.as_dict(), "out": "", "quarantine": ""} for summary in summaries)
    assert one == two
    assert one["reasons"] == {"duplicate NCT id, other content": 500, "broken JSON": 1}
    for name in ("{}.parquet", "{}.quarantine.jsonl"):
        assert (tmp_path / name.format(1)).read_bytes() == (tmp_path / name.format(2)).read_bytes()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.csv", "a.zip", "a.parquet"])
def test_the_digest_is_that_of_the_file_whatever_its_kind(tmp_path: Path, name: str) -> None:
    rows, source = [flat(n) for n in range(3)], tmp_path / name
    line = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if name == "a.zip":
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("a.jsonl", line)
    elif name in ("a.csv", "a.parquet"):
        frame = pd.DataFrame(rows)
        frame.to_csv(source, index=False) if name == "a.csv" else frame.to_parquet(source)
    else:
        source.write_bytes(gzip.compress(line) if name.endswith(".gz") else line)
    assert import_trials(source, tmp_path / "snap.parquet").kept == 3
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert snapshot_metadata(tmp_path / "snap.parquet")["source_sha256"] == digest


def test_a_snapshot_imports_into_itself_unchanged(tmp_path: Path) -> None:
    source = write_jsonl(
        tmp_path / "a.jsonl", [flat(n, conditions=["a", "b"], start_date="2024") for n in range(5)]
    )
    import_trials(source, tmp_path / "one.parquet", data_timestamp="2024-01-02T03:04:05")
    import_trials(tmp_path / "one.parquet", tmp_path / "two.parquet")
    one, two = read_snapshot(tmp_path / "one.parquet"), read_snapshot(tmp_path / "two.parquet")
    assert one.equals(two)
    assert set(one["data_timestamp"]) == {"2024-01-02T03:04:05"}


def test_other_tools_open_a_snapshot_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "snap.parquet"
    import_trials(
        write_jsonl(tmp_path / "a.jsonl", [flat(n, conditions=["Cold", "Flu"]) for n in range(3)]), out
    )
    assert duckdb.sql(f"select nct_id, conditions[2] from '{out}' order by 1 limit 1").fetchall() == [
        ("NCT00000000", "Flu")
    ]
    assert list(pd.read_parquet(out)["conditions"][0]) == ["Cold", "Flu"]
    assert pq.read_table(out).schema.equals(SNAPSHOT_SCHEMA)
    assert pl.read_parquet(out)["keywords"].to_list() == [[], [], []]


def test_what_is_not_a_snapshot_says_so(tmp_path: Path) -> None:
    pl.DataFrame({"nct_id": ["NCT00000001"]}).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_text("no")
    for name, words in (
        ("a", "no column brief_title, official"),
        ("b", "not a Parquet"),
        ("c", "no such file"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            scan_snapshot(tmp_path / f"{name}.parquet")
        assert "run trialtune registry import first" in str(caught.value)
    import_trials(write_jsonl(tmp_path / "a.jsonl", [flat(1)]), tmp_path / "d.parquet")
    pl.read_parquet(tmp_path / "d.parquet").with_columns(phases=pl.lit("x")).write_parquet(
        tmp_path / "e.parquet"
    )
    with pytest.raises(DataError, match="column phases has another type"):
        read_snapshot(tmp_path / "e.parquet")


def test_where_a_snapshot_cannot_be_written(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "a.jsonl", [flat(1)])
    with pytest.raises(UsageError, match=r"ending in \.parquet"):
        import_trials(source, tmp_path / "snap.csv")
    with pytest.raises(DataError, match="cannot be written"):
        import_trials(source, source / "snap.parquet")
    import_trials(source, tmp_path / "snap.parquet")
    with pytest.raises(UsageError, match="the source itself"):
        import_trials(tmp_path / "snap.parquet", tmp_path / "snap.parquet")


def full_study() -> dict[str, Any]:
    """A made-up study that has every part the records read."""
    return {
        "protocolSection": {
            "identificationModule": {
                "nctId": "NCT00000002",
                "briefTitle": "Zinc",
                "officialTitle": "On zinc",
            },
            "statusModule": {
                "overallStatus": "TERMINATED",
                "whyStopped": "Slow accrual",
                "startDateStruct": {"date": "2024-05"},
                "lastUpdatePostDateStruct": {"date": "2024-05-06"},
            },
            "descriptionModule": {"briefSummary": "Short.", "detailedDescription": "Long."},
            "conditionsModule": {"conditions": ["Cold"], "keywords": ["zinc"]},
            "designModule": {"studyType": "INTERVENTIONAL", "phases": ["PHASE1"]},
            "armsInterventionsModule": {
                "interventions": [{"type": "DRUG", "name": "Zinc", "description": "daily"}],
                "armGroups": [{"label": "A", "description": "zinc"}],
            },
            "outcomesModule": {
                "primaryOutcomes": [{"measure": "Days ill", "description": "by diary"}],
                "secondaryOutcomes": [{"measure": "Fever"}],
            },
            "eligibilityModule": {
                **{
                    "eligibilityCriteria": "Adults",
                    "sex": "ALL",
                    "minimumAge": "18 Years",
                    "maximumAge": "N/A",
                },
            },
        },
        "hasResults": False,
    }


def places(value: Any, found: list[tuple[Any, Any]] | None = None) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    found = [] if found is None else found
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        places(value[key], found)
    return found


def mutate(study: dict[str, Any], choices: list[tuple[int, Any]]) -> dict[str, Any]:
    for place, replacement in choices:
        spots = places(study)
        if spots:
            container, key = spots[place % len(spots)]
            if replacement == "drop":
                del container[key]
            else:
                container[key] = copy.deepcopy(replacement)
    return study


DAMAGE = st.sampled_from(
    [
        *("drop", None, 5, 1.5, True, "", " ", "\x00\x00", "a\x00b", "\ud800", "\udce9", "|;|", "['"),
        *("NCT00000001", "nct00000003", "Phase 9", "99/99/9999", 10**400, float("nan")),
        *([], {}, [None], [[["x"]]], {"a": {}}, [{}]),
    ]
) | st.text(max_size=20)
MUTATIONS = st.lists(st.tuples(st.integers(0, 10_000), DAMAGE), min_size=1, max_size=4)


def check_import(folder: Path, studies: list[Any], as_lines: bool) -> None:
    if as_lines:
        source = write_jsonl(folder / "a.jsonl", studies)
    else:
        source = folder / "a.json"
        source.write_text(json.dumps({"studies": studies}))
    out = folder / "snap.parquet"
    summary = import_trials(source, out)
    assert summary.read == summary.kept + summary.quarantined == len(studies)
    assert sum(summary.reasons.values()) == summary.quarantined
    frame = read_snapshot(out)
    assert frame.height == summary.kept == frame["nct_id"].n_unique()
    lines = summary.quarantine.read_text().splitlines() if summary.quarantine else []
    assert len(lines) == summary.quarantined


@settings(max_examples=150)
@given(st.lists(MUTATIONS, min_size=1, max_size=4), st.booleans())
def test_damaged_studies_never_crash_an_import(damages: list[list[tuple[int, Any]]], as_lines: bool) -> None:
    good = {"nct_id": "NCT00000001", "text": "words"}
    with TemporaryDirectory() as folder:
        check_import(Path(folder), [good, *(mutate(full_study(), choices) for choices in damages)], as_lines)


@settings(max_examples=100)
@given(
    st.binary(max_size=200),
    st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.jsonl.gz", "a.zip", "a.parquet"]),
)
def test_any_bytes_give_a_snapshot_or_a_clear_error(content: bytes, name: str) -> None:
    with TemporaryDirectory() as folder:
        source = Path(folder) / name
        source.write_bytes(content)
        with pytest.raises(DataError, match=name):
            import_trials(source, Path(folder) / "snap.parquet")


@pytest.fixture
def real_studies(shared_data: Path) -> Callable[[int], list[dict[str, Any]]]:
    def first(count: int) -> list[dict[str, Any]]:
        with gzip.open(shared_data / "registry_v2_studies.jsonl.gz", "rt") as handle:
            return [json.loads(next(handle)) for _ in range(count)]

    return first


def test_damaged_real_studies(tmp_path: Path, real_studies: Callable[[int], list[dict[str, Any]]]) -> None:
    rng = random.Random(7)
    damage = ["drop", None, 5, "", "\x00", "\ud800", [], {}, [None], "x|y"]
    studies = real_studies(300)
    for study in studies[1:]:
        mutate(study, [(rng.randrange(10_000), rng.choice(damage)) for _ in range(rng.randrange(1, 30))])
    check_import(tmp_path, studies, as_lines=True)


def test_real_studies_import_whole(tmp_path: Path, shared_data: Path) -> None:
    summary = import_trials(shared_data / "registry_v2_studies.jsonl.gz", tmp_path / "snap.parquet")
    assert (summary.kept, summary.quarantined) == (1327, 0)
    frame = read_snapshot(tmp_path / "snap.parquet")
    assert frame["eligibility_criteria"].null_count() <= 1
    assert frame["sex"].null_count() == 1
    assert frame.filter(pl.col("why_stopped").is_not_null()).height == 97


def test_the_joined_real_trials(tmp_path: Path, shared_data: Path) -> None:
    summary = import_trials(shared_data / "trials.parquet", tmp_path / "snap.parquet")
    assert (summary.kept, summary.quarantined) == (18549, 0)
    frame = read_snapshot(tmp_path / "snap.parquet")
    raw = pl.read_parquet(shared_data / "trials.parquet")
    assert frame["sex"].value_counts().sort("sex").rows() == [
        *((None, 5108), ("ALL", 11403), ("FEMALE", 726), ("MALE", 1312)),
    ]
    assert frame["start_date"].null_count() == (raw["start_date"] == "").sum()
    assert frame["start_date"].drop_nulls().str.contains(r"^\d{4}(-\d\d){1,2}$").all()
    assert set(frame["phases"].explode().drop_nulls()) == {
        *("EARLY_PHASE1", "PHASE1", "PHASE2", "PHASE3", "PHASE4", "NA"),
    }
    items = frame["interventions"].explode().drop_nulls()
    assert not items.str.contains(r"^\['|\||^(DRUG|DEVICE|OTHER|BEHAVIORAL): ").any()
    assert frame["source"].equals(raw["source"])
