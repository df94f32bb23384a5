"""An output that is an input of the same command is refused, for every command that writes."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from trialtune.cli import app
from trialtune.cli.overwriting import _OUTPUTS
from trialtune.errors import UsageError

TABLE = "nct_id,text,labels\nNCT00000001,Slow accrual,Covid19\n"


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    """A table, and a folder as trialtune writes it that holds another."""
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text(TABLE, encoding="utf-8")
    for name in ("made", "plain"):
        Path(name).mkdir()
        Path(name, "table.csv").write_text(TABLE, encoding="utf-8")
    Path("plain", "snapshot.parquet").write_bytes(b"PAR1")
    Path("made", ".trialtune").touch()
    return tmp_path


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("line", "first", "second"),
    [
        ("predict stop-reasons --input table.csv --output table.csv", "--output", "--input"),
        ("predict stop-reasons --input table.csv --output made/../table.csv", "--output", "--input"),
        ("annotate stop-reasons --data table.csv --out table.csv", "--out", "--data"),
        ("registry import table.csv --out table.csv", "--out", "SOURCE"),
        ("registry sql text --snapshot plain --out plain/snapshot.parquet", "--out", "--snapshot"),
        ("annotations export table.csv --task stop-reasons --to argilla --out table.csv", "--out", "FILE"),
        ("apply made plain --out made", "--out", "CLASSIFIER"),
        ("export made --out made", "--out", "CLASSIFIER"),
        ("estimate run table.csv --gold made/table.csv --out table.csv", "--out", "LABELS"),
        ("estimate run table.csv --known ./made/table.csv --out made/table.csv", "--out", "--known"),
        ("split stop-reasons --data made/table.csv --out made", "--out", "--data"),
        ("finetune stop-reasons --data table.csv --teacher made/table.csv --out made", "--out", "--teacher"),
        ("errors stop-reasons --data table.csv --html table.csv", "--html", "--data"),
    ],
)
def test_both_options_are_named_and_nothing_is_written(work, line, first, second) -> None:
    before = content(work)
    result = CliRunner().invoke(app, line.split())
    assert isinstance(result.exception, UsageError)
    told = str(result.exception)
    assert told.startswith(first) and f" {second} " in told and told.endswith("give another path")
    assert content(work) == before


@pytest.mark.parametrize(
    "line",
    [
        "apply sex plain --out sex",  # a name, not the folder
        "apply stop-reasons plain --since made --out made",  # updated
        "finetune stop-reasons --data table.csv --method linear --out linear",
        "estimate run made --gold plain/table.csv --out plain",  # a folder that is added to
        "registry import plain --out plain/snapshot.parquet",
    ],
)
def test_names_and_folders_that_are_added_to_are_not_refused(work, line) -> None:
    for name in ("sex", "linear"):
        (work / name).mkdir()
    result = CliRunner().invoke(app, line.split())
    assert "give another path" not in str(result.exception)


def commands(group: typer.Typer) -> Iterator[inspect.Signature]:
    for command in group.registered_commands:
        assert command.callback
        yield inspect.signature(command.callback)
    for inner in group.registered_groups:
        assert inner.typer_instance
        yield from commands(inner.typer_instance)


def test_every_command_with_an_output_is_guarded() -> None:
    writing = [sign for sign in commands(app) if {"out", "output"} & set(sign.parameters)]
    assert len(writing) > 15
    named = {name for sign in commands(app) for name in sign.parameters if name.startswith(("out", "html"))}
    assert named - {"outliers", "out_of_fold"} == set(_OUTPUTS)
