"""A recipe's data are checked before its first step."""

import polars as pl
import pytest

from trialtune.errors import DataError, UsageError
from trialtune.experiment.check import check_data
from trialtune.experiment.recipe import load_recipe


@pytest.fixture
def data(tmp_path):
    (tmp_path / "studies.jsonl.gz").write_bytes(b"")
    return tmp_path


def write(path, labels: str) -> None:
    pl.DataFrame({"text": ["slow accrual", "no funds"], "labels": [labels, labels]}).write_parquet(path)


def check(data):
    return check_data(load_recipe("registry", [f"data={data}"]))


def test_labelled_rows_are_counted(data):
    write(data / "stop_reasons_train.parquet", "Negative")
    assert check(data) == {"stop-reasons": 2, "sex": None}


def test_rows_of_another_task_are_an_error(data):
    write(data / "stop_reasons_train.parquet", "nonsense")
    with pytest.raises(DataError, match=r"stop_reasons_train\.parquet"):
        check(data)


def test_a_table_that_is_broken_is_an_error(data):
    (data / "stop_reasons_dev.parquet").write_text("no table")
    with pytest.raises(DataError, match=r"stop_reasons_dev\.parquet"):
        check(data)


def test_data_that_are_missing_are_an_error(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        check(tmp_path / "none")
    with pytest.raises(UsageError, match="no supported file in this folder"):
        check(tmp_path)
