"""The labels of a user's table: which columns are read, kept, renamed, left out."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from trialtune.classifier.classifier import Classifier
from trialtune.cli import app
from trialtune.dataset.tables import write_table
from trialtune.labelling.table import label_table
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA

REASONS = ["Slow accrual", None, "Sponsor went bankrupt"]
IDS = ["NCT00000001", "nct00000002", None]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.from_pretrained("stop-reasons")


@pytest.mark.parametrize("ids", ["nct_id", "NCT", "NCT Number", "trial", "id", "unnamed column"])
@pytest.mark.parametrize("text", ["text", "why_stopped", "Why Stopped", "stop_reason"])
def test_the_columns_that_are_read_and_those_that_are_kept(classifier, ids, text) -> None:
    given = pl.DataFrame({"n": [1, 2, 3], ids: IDS, "phase": ["1", None, "3"], text: REASONS})
    labelled = label_table(classifier, given)
    assert labelled.source.nct_id == ids and list(labelled.source.texts.values()) == [text]
    assert labelled.rows.select("n", "phase").equals(given.select("n", "phase"))
    assert labelled.rows["nct_id"].to_list() == IDS
    assert labelled.rows.drop("n", "phase").equals(classifier.predict_frame(given))
    assert labelled.counts == {
        "n": 3,
        "without_text": 1,
        "needs_review": labelled.rows["needs_review"].sum(),
    }


def test_texts_in_a_column_that_is_not_read_are_counted(classifier) -> None:
    given = pl.DataFrame({"why_stopped": ["Slow accrual", None, ""], "Text": ["a", "Funding ended", " "]})
    assert label_table(classifier, given).unread == 1
    assert label_table(classifier, given.drop("why_stopped")).unread == 0
    assert label_table(classifier, given.drop("Text")).unread == 0


def test_no_column_of_ids(classifier) -> None:
    given = pl.DataFrame({"number": ["17", "18", "19"], "id": ["a", "b", "c"], "text": REASONS})
    labelled = label_table(classifier, given)
    assert labelled.source.nct_id is None
    assert labelled.rows["nct_id"].null_count() == 3
    assert labelled.rows["id"].to_list() == ["a", "b", "c"]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_labelled_again_nothing_is_lost(classifier, tmp_path, suffix) -> None:
    """The columns of an earlier output, and hand labels, are kept under other names."""
    given = pl.DataFrame({"text": REASONS, "labels": ["a", "b", "c"], "given_labels": [1, 2, 3]})
    once = label_table(classifier, given)
    assert once.kept == {"labels": "given_given_labels", "given_labels": "given_labels"}
    write_table(once.rows, tmp_path / f"once.{suffix}")
    out = tmp_path / f"twice.{suffix}"
    arguments = ["predict", "stop-reasons", "--input", str(tmp_path / f"once.{suffix}"), "--output", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    columns = json.loads(done.stdout)["columns"]
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson}[suffix](out)
    assert set(columns["kept"].values()) <= set(read.columns)
    assert read["given_needs_review"].to_list() == [False, None, False]


def test_nested_columns_and_the_fields_of_a_snapshot_are_left_out(classifier) -> None:
    nested = pl.DataFrame(
        {"text": ["Slow accrual"], "sites": [[{"city": "Ulm"}]], "tags": [["a", "b"]], "size": [3]}
    )
    labelled = label_table(classifier, nested)
    assert labelled.left_out == ("sites",)
    assert labelled.kept == {"tags": "tags", "size": "size"}
    snapshot = pl.DataFrame(pl.from_arrow(SNAPSHOT_SCHEMA.empty_table())).with_columns(mine=pl.lit("x"))
    labelled = label_table(classifier, snapshot)
    assert labelled.kept == {"mine": "mine"} and labelled.left_out == ()


def test_the_command_says_what_it_read(tmp_path) -> None:
    table = tmp_path / "reasons.csv"
    pl.DataFrame({"NCT": IDS, "stop_reason": REASONS, "phase": ["1", "2", "3"]}).write_csv(table)
    arguments = ["predict", "stop-reasons", "--input", str(table), "--output", str(tmp_path / "out.csv")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    said = " ".join(done.stderr.split())
    assert "text from stop_reason; NCT ids from NCT" in said
    assert "other columns, kept: phase" in said
    assert "3 rows written" in done.stdout and "1 without a text" in done.stdout


def test_a_file_is_not_taken_for_a_text(tmp_path) -> None:
    table = tmp_path / "reasons.csv"
    table.write_text("text\nslow\n")
    done = CliRunner().invoke(app, ["predict", "stop-reasons", str(table)])
    assert done.exit_code != 0
    assert "--input" in str(done.exception)
    for text in ("Slow accrual / no funding", "x" * 5000, "a\0b"):
        assert CliRunner().invoke(app, ["predict", "stop-reasons", text]).exit_code == 0
