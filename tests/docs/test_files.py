"""The tables of docs/reference/files.md against the code."""

import re
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from trialtune.annotation.settings import LISTED, WAYS
from trialtune.classifier.folder import FILES
from trialtune.classifier.prediction import PREDICTION_SCHEMA, prediction_schema
from trialtune.cli.failures import INTERRUPTED, explain
from trialtune.dataset.answers import ANSWER_COLUMNS, STATUSES
from trialtune.errors import DataError, UsageError
from trialtune.estimation.settings import PlanSettings
from trialtune.labelling.output import FORMAT as APPLY_FORMAT
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.sync.state import _FORMAT as SYNC_FORMAT
from trialtune.stages.audit import COLUMNS as AUDIT_COLUMNS
from trialtune.stages.estimate_plan import plan_estimate
from trialtune.tasks.task import FORMAT as TASK_FORMAT

TYPES = {
    pa.string(): "text",
    pa.list_(pa.string()): "list of text",
    pa.int64(): "int",
    pa.bool_(): "true or false",
}


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "reference" / "files.md").read_text(encoding="utf-8")


def table(page: str, heading: str, number: int = 0) -> list[list[str]]:
    """The rows of a table under a heading, cell by cell."""
    section = re.split(r"^#{2,3} ", page, flags=re.MULTILINE)
    [own] = [text for text in section if text.startswith(f"{heading}\n")]
    blocks = re.findall(r"(?:^\|.*\n?)+", own, re.MULTILINE)
    lines = blocks[number].strip().splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def names(rows: list[list[str]]) -> list[str]:
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]


def test_columns_of_a_snapshot(page: str) -> None:
    rows = table(page, "Snapshot")
    assert [(name, row[1]) for name, row in zip(names(rows), rows, strict=True)] == [
        (field.name, TYPES[field.type]) for field in SNAPSHOT_SCHEMA
    ]


def test_columns_of_predictions(page: str) -> None:
    rows = table(page, "Predictions")
    assert names(rows) == [*PREDICTION_SCHEMA]
    words = {pl.String: "text", pl.List(pl.String): "list of text", pl.Boolean: "true or false"}
    words[pl.Struct({"a": pl.Float32})] = "struct: label to float32"
    assert [row[1] for row in rows] == [words[kind] for kind in prediction_schema(["a"]).values()]


def test_columns_of_a_labels_file(page: str) -> None:
    rows = table(page, "Labels file of `annotate`")
    assert names(rows) == [*ANSWER_COLUMNS]
    told = {name: set(re.findall(r"`([^`]+)`", row[1])) for name, row in zip(names(rows), rows, strict=True)}
    assert told["status"] == {*STATUSES}
    assert told["drawn"] == {*WAYS, LISTED}


def test_columns_of_a_sample_sheet(page: str, make_registry, tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    sheet = tmp_path / "sheet.csv"
    plan_estimate(registry.labels, sheet, settings=PlanSettings(rows=40))
    assert names(table(page, "Sample sheet of `estimate plan`")) == pl.read_csv(sheet).columns


def test_files_of_a_classifier(page: str) -> None:
    told = [row[0].strip("`") for row in table(page, "Classifier folder")]
    assert sorted(told) == sorted(FILES)


def test_formats(page: str) -> None:
    for file, number in (
        ("task.json", TASK_FORMAT),
        ("apply.json", APPLY_FORMAT),
        ("manifest.json", SYNC_FORMAT),
    ):
        assert f"| `{file}` | `format` ({number})" in page


def test_columns_of_an_audit(page: str) -> None:
    assert ", ".join(f"`{name}`" for name in AUDIT_COLUMNS) in page


def test_exit_codes(page: str) -> None:
    codes = {int(row[0]) for row in table(page, "Exit codes")}
    problems = (
        DataError("x"),
        UsageError("x"),
        KeyboardInterrupt(),
        OSError("x"),
        MemoryError(),
        ValueError("x"),
    )
    assert codes == {0, *(explain(problem)[1] for problem in problems)}
    assert INTERRUPTED in codes


def test_every_environment_variable_is_there(page: str, root: Path) -> None:
    told = {*names(table(page, "Environment variables")), *names(table(page, "Environment variables", 1))}
    pattern = re.compile(
        r"(?:environ(?:\.get|\.setdefault|\.pop)?[\[(]|getenv\(|isdisjoint\(\{)\s*([^)\]}]*)"
    )
    found = {
        name
        for file in (root / "src").rglob("*.py")
        for arguments in pattern.findall(file.read_text(encoding="utf-8"))
        for name in re.findall(r"\"([A-Z][A-Z_]+)\"", arguments)
    }
    assert told == found
