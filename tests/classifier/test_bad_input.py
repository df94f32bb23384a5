"""Whatever is wrong with what a classifier is given is told in one clear error; never a wrong label."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from trialtune.classifier.classifier import Classifier
from trialtune.cli import main
from trialtune.errors import DataError, UsageError
from trialtune.stages.export import export
from trialtune.tasks.catalog import load_task, task_from_spec
from trialtune.tasks.spec import TaskSpec

OWN = ["text", "labels", "needs_review", "nct_id", "probabilities"]


@pytest.fixture(scope="module")
def folder(make_classifier, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("classifier")
    export(make_classifier("stop-reasons", made / "torch"), made / "clf", form="onnx")
    return made / "clf"


@pytest.fixture(scope="module")
def classifier(folder) -> Classifier:
    return Classifier.from_pretrained(folder)


def trialtune(*arguments: object) -> tuple[int, str]:
    """Run a command in this process; its exit code and what it said of it."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch("sys.argv", ["trialtune", *map(str, arguments)]):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), err.getvalue()
    return 0, err.getvalue()


# ---- folders


def no_classifiers(folder: Path, made: Path, encoder: str) -> Iterator[tuple[Path, str]]:
    """Paths that are no classifier, and what is to be said of each."""
    (made / "empty").mkdir()
    yield made / "empty", r"no task\.json.*trialtune finetune"
    yield Path(encoder), r"no task\.json.*trialtune finetune"
    (made / "adapter").mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (made / "adapter" / name).write_text("{}")
    yield made / "adapter", r"no task\.json.*trialtune finetune"
    yield folder / "model.onnx", "is a file; give a classifier's folder"
    yield made / "missing", "no such classifier.*trialtune finetune"
    yield made / "two" / "missing", "no such classifier.*trialtune finetune"


def test_paths_that_are_no_classifier(folder, tiny_encoder, tmp_path) -> None:
    for path, said in no_classifiers(folder, tmp_path, tiny_encoder):
        with pytest.raises(DataError, match=f"(?s){path}.*{said}"):
            Classifier.from_pretrained(path)
        code, stderr = trialtune("predict", path, "slow recruitment")
        assert code == 1 and stderr.startswith("error: ") and str(path) in stderr


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"format": 99, "name": "stop-reasons", "shipped": True}, "another version of trialtune .format 99;"),
        ({}, "another version of trialtune"),
        ("{", "not valid JSON"),
        ("[]", "describes no task"),
        ({"name": "weather", "shipped": True, "max_length": 9}, "no shipped task is named 'weather'"),
        ({"name": "stop-reasons", "shipped": True, "max_length": "long"}, "'long' is not a number of tokens"),
        ({"name": "own", "kind": "multi_label"}, "describes no task .labels"),
        ({"name": "sex", "shipped": True, "max_length": 9}, "are not those of the task sex"),
    ],
)
def test_a_task_that_cannot_be_read(folder, tmp_path, described, said) -> None:
    shutil.copytree(folder, tmp_path / "clf")
    if isinstance(described, dict):
        described = json.dumps({"format": 1, **described} if "name" in described else described)
    (tmp_path / "clf" / "task.json").write_text(described)
    with pytest.raises(DataError, match=said):
        Classifier.from_pretrained(tmp_path / "clf")


# ---- texts


@pytest.mark.parametrize("bad", [None, float("nan"), pd.NA, 3, b"slow"])
def test_a_text_that_is_none_is_named_by_its_place(classifier, bad) -> None:
    for ask in (classifier.predict, classifier.predict_proba):
        with pytest.raises(UsageError, match=r"texts\[1\] is .*not a text; leave it out"):
            ask(["slow", bad])
    with pytest.raises(UsageError, match="not a text"):
        classifier.explain(bad, classifier.labels[0])


@pytest.mark.parametrize("bad", ["slow", b"slow", None, 3])
def test_no_list_of_texts(classifier, bad) -> None:
    with pytest.raises(UsageError, match="not a list of texts"):
        classifier.predict(bad)


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_a_table_is_not_read_by_the_names_of_its_columns(classifier, kind) -> None:
    with pytest.raises(UsageError, match="use predict_frame"):
        classifier.predict(kind({"text": ["slow"]}))


# ---- tables

TEXTS = ["slow recruitment", None, "funding ran out"]
MISSING = ["slow recruitment", None, float("nan"), pd.NA, "funding ran out"]
CODES = pl.Series(TEXTS, dtype=pl.Categorical)
TABLES: dict[str, Callable[[], Any]] = {
    "pandas objects": lambda: pd.DataFrame({"why_stopped": pd.Series(MISSING, dtype=object)}),
    "pandas strings": lambda: pd.DataFrame({"why_stopped": pd.array(TEXTS, dtype="string")}),
    "pandas Arrow": lambda: pd.DataFrame(
        {"why_stopped": pd.array(TEXTS, dtype=pd.ArrowDtype(pa.string()))}, index=[7, 7, 7]
    ),
    "pandas categories": lambda: pd.DataFrame({"why_stopped": pd.Categorical(TEXTS)}),
    "Polars lazy": lambda: pl.LazyFrame({"Why Stopped": TEXTS}),
    "Polars categories": lambda: pl.DataFrame({"why_stopped": CODES}),
    "Polars enum": lambda: pl.DataFrame({"text": TEXTS}, schema={"text": pl.Enum([TEXTS[0], TEXTS[2]])}),
    "Arrow": lambda: pa.table({"text": TEXTS}),
    "Arrow dictionary": lambda: pa.table({"text": pa.array(TEXTS).dictionary_encode()}),
    "dict": lambda: {"text": TEXTS},
    "dict of arrays": lambda: {"text": np.array(TEXTS, dtype=object)},
    "text beside an empty reason": lambda: {"why_stopped": TEXTS, "text": ["other"] * 3},
}


@pytest.mark.parametrize("name", TABLES)
def test_texts_come_through_every_kind_of_table(classifier, name) -> None:
    found = classifier.predict_frame(TABLES[name]())
    assert found["text"].drop_nulls().to_list() == ["slow recruitment", "funding ran out"]
    alone = classifier.predict_frame({"text": ["slow recruitment", "funding ran out"]})
    assert found.filter(pl.col("text").is_not_null()).equals(alone)
    nothing = found.filter(pl.col("text").is_null())
    assert len(nothing) == len(found) - 2 > 0
    assert nothing.select("labels", "probabilities", "needs_review", "text_hash").null_count().row(0) == (
        (len(nothing),) * 4
    )


BAD_TABLES: list[tuple[Callable[[], Any], str]] = [
    (lambda: pd.DataFrame({"why_stopped": [1.0, 2.0]}), "why_stopped holds Float64; it must hold text"),
    (lambda: pd.DataFrame({"why_stopped": [b"slow"]}), "why_stopped holds Binary; it must hold text"),
    (lambda: pd.DataFrame({"why_stopped": ["slow", 3]}), r"row 2: column why_stopped holds 3 \(int\)"),
    (lambda: pd.DataFrame({"why_stopped": ["slow", b"x"]}), r"row 2: column why_stopped holds b'x' \(bytes"),
    (lambda: pd.DataFrame([["a", "b"]], columns=["text", "text"]), "2 columns are named text; rename"),
    (lambda: pd.DataFrame({"text": ["slow"], "nct_id": [3]}), "nct_id holds Int64; it must hold text"),
    (lambda: pl.DataFrame({"title": ["slow"]}), "has the columns title; it needs one named text"),
    (pl.DataFrame, "has no columns; it needs one named text"),
    (lambda: pl.DataFrame({"Text": ["a"], " text ": ["b"]}), "'Text' and ' text ' could both be the column"),
    (lambda: pl.DataFrame({"text": [["a", "b"]]}), "column text holds List.String.; it must hold text"),
    (lambda: pa.table([pa.array(["a"])] * 2, names=["text", "text"]), "2 columns are named text; rename"),
    (lambda: {"text": ["slow"], "nct_id": []}, "columns differ in length .text 1, nct_id 0."),
    (lambda: {"text": [3]}, "text holds Int64; it must hold text"),
]


@pytest.mark.parametrize("place", range(len(BAD_TABLES)))
def test_tables_that_hold_no_text(classifier, place) -> None:
    make, said = BAD_TABLES[place]
    with pytest.raises(DataError, match=said):
        classifier.predict_frame(make())


@pytest.mark.parametrize(
    "bad", [["slow"], [{"text": "slow"}], "slow", None, pd.Series(["slow"], name="text"), {"text": "slow"}]
)
def test_no_table_at_all(classifier, bad) -> None:
    with pytest.raises(UsageError, match=r"expected a table|not a list of cells"):
        classifier.predict_frame(bad)


def test_nothing_in_nothing_out(classifier, folder, tmp_path) -> None:
    full = classifier.predict_frame({"text": ["slow"]})
    for empty in (pl.DataFrame(schema={"text": pl.String}), pd.DataFrame({"text": []}), {"text": []}):
        assert classifier.predict_frame(empty).equals(full.clear())
    [row] = classifier.predict_frame({"nct_id": ["NCT00000001"], "text": [" "]}).to_dicts()
    assert row["nct_id"] == "NCT00000001" and row["text"] is row["labels"] is row["needs_review"] is None
    (tmp_path / "in.csv").write_text("text\n")
    for suffix in ("parquet", "csv", "jsonl"):
        out = tmp_path / f"out.{suffix}"
        assert trialtune("predict", folder, "--input", tmp_path / "in.csv", "--output", out)[0] == 0
        assert out.is_file()


def test_the_command_line_names_file_and_column(folder, tmp_path) -> None:
    pl.DataFrame({"text": [1, 2]}).write_parquet(tmp_path / "numbers.parquet")
    code, stderr = trialtune("predict", folder, "--input", tmp_path / "numbers.parquet")
    assert code == 1 and "column text holds Int64; it must hold text" in stderr


# ---- labels


def test_labels_called_like_our_columns_lose_nothing(make_classifier, tmp_path) -> None:
    task = task_from_spec(TaskSpec(name="own", kind="multi_label", labels=OWN))
    folder = make_classifier(task, tmp_path / "clf")
    rows = pl.DataFrame({"nct_id": ["NCT00000001", None], "text": ["slow", None]})
    rows.write_parquet(tmp_path / "in.parquet")
    expected = Classifier.from_pretrained(folder).predict_frame(rows)
    assert list(expected["probabilities"][0]) == OWN
    for suffix in ("parquet", "csv", "jsonl"):
        out = tmp_path / f"out.{suffix}"
        code, stderr = trialtune("predict", folder, "--input", tmp_path / "in.parquet", "--output", out)
        assert code == 0, stderr
    assert pl.read_parquet(tmp_path / "out.parquet").equals(expected)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == ["slow", None]
    assert lines[0]["labels"] == expected["labels"][0].to_list()
    assert lines[0]["probabilities"] == pytest.approx(expected["probabilities"][0])
    table = pl.read_csv(tmp_path / "out.csv")
    assert table["text"].to_list() == ["slow", None] and table["nct_id"].to_list() == ["NCT00000001", None]
    assert table["labels"][0].split("|") == expected["labels"][0].to_list()
    stated = table.select(
        pl.col("^probability_.*$").name.map(lambda name: name.removeprefix("probability_"))
    ).row(0, named=True)
    assert stated == pytest.approx(expected["probabilities"][0])


@pytest.mark.parametrize("label", ["other|b", "b, other", "other;b", "--"])
def test_labels_that_cannot_be_told_apart_in_a_cell_are_refused(tmp_path, label) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(json.dumps({"name": "own", "kind": "multi_label", "labels": ["other", "b", label]}))
    with pytest.raises(UsageError, match=r"own\.yaml.*labels: '.*' (has neither|contains other)"):
        load_task(path)
