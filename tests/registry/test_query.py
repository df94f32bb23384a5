"""What `registry sql --out` writes is read back as it was: by `registry import`, by pandas, by DuckDB."""

import csv
import json
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trialtune.registry.query import export_sql
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.snapshot.build import import_trials

KINDS = ("csv", "tsv", "jsonl", "parquet")
#: Where a file comes from is not what it says.
SAID = [name for name in SNAPSHOT_SCHEMA.names if name not in {"source", "data_timestamp"}]


def same_again(snapshot: Path, kind: str) -> None:
    """Export the snapshot and import it: every column is what it was."""
    before = pl.read_parquet(snapshot, columns=SAID).sort("nct_id")
    written = snapshot.with_name(f"written.{kind}")
    assert export_sql(snapshot, "select * from trials", written) == before.height
    summary = import_trials(written, snapshot.with_name("again.parquet"))
    assert (summary.kept, summary.quarantined, summary.unread) == (before.height, 0, {})
    after = pl.read_parquet(summary.out, columns=SAID).sort("nct_id")
    differ = [name for name in SAID if not before[name].equals(after[name])]
    assert differ == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["registry_v2_studies.jsonl.gz", "aact_flat_files.zip"])
def test_real_trials_come_back(tmp_path: Path, shared_data: Path, source: str, kind: str) -> None:
    snapshot = tmp_path / "snapshot.parquet"
    import_trials(shared_data / source, snapshot)
    same_again(snapshot, kind)


ITEM = st.text(st.sampled_from("ab,;|\"'[]{}()\\/: \u00e9"), min_size=1, max_size=8).map(
    lambda text: f"x{text}"
)
ITEMS = st.lists(ITEM, max_size=3)


@settings(max_examples=30)
@example(lists=[{"conditions": ["xa;b"], "arms": [], "names": ["x,"], "countries": []}], kind="csv")
@given(
    lists=st.lists(st.fixed_dictionaries(dict.fromkeys(("conditions", "arms", "names", "countries"), ITEMS))),
    kind=st.sampled_from(KINDS),
)
def test_lists_of_any_text_come_back(
    tmp_path_factory: pytest.TempPathFactory, lists: list[dict[str, list[str]]], kind: str
) -> None:
    folder = tmp_path_factory.mktemp("again")
    whole = {"conditions": ["x"], "arms": ["x"], "names": ["x"], "countries": ["Peru", "Spain"]}
    studies = [study_of(number, items) for number, items in enumerate([whole, *lists], start=1)]
    (folder / "studies.jsonl").write_text("\n".join(map(json.dumps, studies)), encoding="utf-8")
    import_trials(folder / "studies.jsonl", folder / "snapshot.parquet")
    same_again(folder / "snapshot.parquet", kind)


def study_of(number: int, items: dict[str, list[str]]) -> dict[str, object]:
    """A study of API v2 with the items in its lists."""
    names = items["names"]
    return {
        "hasResults": number % 2 == 0,
        "protocolSection": {
            "identificationModule": {
                "nctId": f"NCT{number:08d}",
                "briefTitle": 'A "title" of\ttwo\nlines',
                "orgStudyIdInfo": {"id": "X-1"},
                "secondaryIdInfos": [{"id": "2004-000446-20", "type": "OTHER"}],
            },
            "conditionsModule": {"conditions": items["conditions"], "keywords": names},
            "designModule": {"phases": ["PHASE1", "PHASE2"], "enrollmentInfo": {"count": number}},
            "sponsorCollaboratorsModule": {"collaborators": [{"name": name} for name in names]},
            "contactsLocationsModule": {"locations": [{"country": name} for name in items["countries"]]},
            "armsInterventionsModule": {
                "armGroups": [{"label": label, "description": "said"} for label in items["arms"]],
                "interventions": [{"type": "DRUG", "name": name} for name in names],
            },
            "outcomesModule": {"primaryOutcomes": [{"measure": name} for name in names]},
        },
    }


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    items = {"conditions": ['a "b", c', "d|e; f"], "arms": [], "names": ["x"], "countries": ["Peru"]}
    (tmp_path / "study.json").write_text(json.dumps([study_of(1, items), study_of(2, items)]))
    import_trials(tmp_path / "study.json", tmp_path / "snapshot.parquet")
    return tmp_path / "snapshot.parquet"


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_a_cell_holds_nested_values_as_json(snapshot: Path, tmp_path: Path, kind: str) -> None:
    query = (
        'select conditions, nct_id as "an ""id""", {\'a\': 1, \'b\': [true]} as struct,'
        " map {'k': [2]} as map, arms, enrollment, has_results, null as nothing"
        " from trials order by nct_id desc"
    )
    out = tmp_path / f"rows.{kind}"
    assert export_sql(snapshot, query, out) == 2
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="," if kind == "csv" else "\t"))
    assert [row['an "id"'] for row in rows] == ["NCT00000002", "NCT00000001"]
    assert json.loads(rows[0]["conditions"]) == ['a "b", c', "d|e; f"]
    assert json.loads(rows[0]["struct"]) == {"a": 1, "b": [True]}
    assert json.loads(rows[0]["map"]) == {"k": [2]}
    assert (rows[0]["arms"], rows[0]["nothing"]) == ("[]", "")
    assert (rows[0]["enrollment"], rows[0]["has_results"]) == ("2", "true")
    frame = pd.read_csv(out, sep="," if kind == "csv" else "\t")
    assert frame["conditions"].map(json.loads).tolist() == [['a "b", c', "d|e; f"]] * 2


def test_columns_of_one_name_are_both_written(snapshot: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    assert (
        export_sql(snapshot, "select t.conditions, u.* from trials t join trials u using (nct_id)", out) == 2
    )
    header = out.read_text(encoding="utf-8").partition("\n")[0].split(",")
    assert [name for name in header if name.startswith("conditions")] == ["conditions", "conditions_1"]
    assert len(header) == 1 + len(SNAPSHOT_SCHEMA.names)


def test_an_export_that_is_described(snapshot: Path, tmp_path: Path) -> None:
    assert export_sql(snapshot, "describe trials", tmp_path / "columns.csv") == len(SNAPSHOT_SCHEMA.names)
    rows = duckdb.sql(f"select column_name from '{tmp_path / 'columns.csv'}'").fetchall()
    assert [name for (name,) in rows] == SNAPSHOT_SCHEMA.names
