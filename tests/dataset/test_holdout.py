"""Rows are divided without leaks and drawn evenly, and the draw can be undone."""

import polars as pl
import pytest

from trialtune.dataset.holdout import SplitSettings, divide, draw_evenly
from trialtune.dataset.reading import read_examples
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError
from trialtune.tasks.catalog import load_task

SEX = load_task("sex")


def rows(counts: dict[str, int], source: str = "registry") -> pl.DataFrame:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return pl.DataFrame(
        {
            "nct_id": [f"NCT{n:08d}" for n in range(len(labels))],
            "text": [f"trial number {n}" for n in range(len(labels))],
            "labels": [[label] for label in labels],
            "source": [source] * len(labels),
        }
    )


def test_an_even_draw_says_for_how_many_rows_each_stands() -> None:
    drawn = draw_evenly(rows({"ALL": 900, "MALE": 60, "FEMALE": 20}), 150, seed=1)
    found = {
        label: (n, weight)
        for label, n, weight in drawn.group_by(pl.col("labels").list.first())
        .agg(pl.len(), pl.col("weight").sum())
        .rows()
    }
    assert {label: n for label, (n, _) in found.items()} == {"ALL": 70, "MALE": 60, "FEMALE": 20}
    assert {label: round(weight) for label, (_, weight) in found.items()} == {
        "ALL": 900,
        "MALE": 60,
        "FEMALE": 20,
    }


def test_a_share_is_held_out_and_untested_sources_stay_out_of_it(tmp_path) -> None:
    odd = rows({"ALL": 40, "MALE": 40}, source="csv:odd").with_columns(
        nct_id=pl.concat_str(pl.lit("NCT9"), pl.col("nct_id").str.slice(4)), text=pl.col("text") + " odd"
    )
    both = pl.concat([rows({"ALL": 160, "MALE": 60, "FEMALE": 60}), odd])
    counts = divide(SEX, both, None, tmp_path, settings=SplitSettings(untested_sources=("odd",)))
    test = pl.read_parquet(tmp_path / "test.parquet")
    train = pl.read_parquet(tmp_path / "train.parquet")
    near = pl.read_parquet(tmp_path / "near_duplicates.parquet")
    assert counts == {
        "train": len(train),
        "test": len(test),
        "overlap_dropped": 0,
        "near_duplicates": len(near),
    }
    assert set(test["source"]) == {"registry"}
    assert 40 <= len(test) <= 72
    assert not set(train["nct_id"]) & set(test["nct_id"])


def test_a_given_test_part_takes_its_rows_out_of_training(tmp_path) -> None:
    table = rows({"ALL": 50, "MALE": 20, "FEMALE": 20})
    test = pl.concat(
        [
            table.head(3),
            table.slice(10, 1).with_columns(nct_id=pl.lit("NCT77777777"), text=pl.lit("TRIAL  number 10!")),
        ]
    )
    counts = divide(SEX, table, test, tmp_path, settings=SplitSettings())
    near = counts.pop("near_duplicates")  # the texts are made from one template
    assert counts == {"train": 86, "test": 4, "overlap_dropped": 4}
    assert near <= 4


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.csv", b"text,labels\ncaf\xe9,Negative\n"), ("t.parquet", b"x"), ("t.jsonl", b"{")],
)
def test_a_broken_table_is_named(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_table(tmp_path / name)


def test_json_tables_are_read_as_arrays_and_as_lines(tmp_path) -> None:
    table = pl.DataFrame({"text": ["a", "b"], "Negative": [True, False], "odd": [None, "x"]})
    (tmp_path / "lines.json").write_text(table.write_ndjson())
    (tmp_path / "array.json").write_text(" \n" + table.write_json())
    assert read_table(tmp_path / "lines.json").equals(table)
    assert read_table(tmp_path / "array.json").equals(table)


def test_conflicts_are_listed_beside_dropped_rows(tmp_path) -> None:
    pl.DataFrame(
        {
            "nct_id": ["NCT00000001", "NCT00000002", "x"],
            "text": ["a", "A", "b"],
            "sex": ["ALL", "MALE", "ALL"],
        }
    ).write_csv(tmp_path / "t.csv")
    labelled = read_examples(SEX, tmp_path / "t.csv", None, quarantine=tmp_path / "q.jsonl")
    listed = pl.read_ndjson(tmp_path / "q.jsonl")
    assert sorted(listed["row"]) == [1, 2, 3]
    assert labelled.counts["kept"] == 2
