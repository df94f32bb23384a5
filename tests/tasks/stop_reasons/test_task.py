"""The shipped labels: the right facts, no text, and the same as the files they were made from."""

import importlib.util
from pathlib import Path

import polars as pl
import pytest

from trialtune.tasks.stop_reasons.task import LABELS, build_text, load_gold
from trialtune.tasks.text import wording_hash

TOOL = Path(__file__).resolve().parents[3] / "tools" / "make_gold.py"


def test_the_shipped_labels_are_whole():
    gold = load_gold()
    assert gold.schema == {
        "nct_id": pl.String,
        "labels": pl.List(pl.String),
        "split": pl.String,
        "text_hash": pl.String,
    }
    assert dict(gold["split"].value_counts().iter_rows()) == {"train": 19_339, "dev": 500}
    assert gold["nct_id"].str.contains(r"^NCT\d{8}$").all() and gold["nct_id"].is_unique().all()
    assert set(gold["labels"].explode()) == set(LABELS)
    assert gold["labels"].list.len().min() == 1
    assert gold["text_hash"].str.contains("^[0-9a-f]{12}$").all() and gold["text_hash"].is_unique().all()


def test_layout_does_not_change_a_text_s_hash_and_words_do():
    assert wording_hash("Slow   accrual.") == wording_hash(build_text({"why_stopped": "slow\naccrual"}))
    assert wording_hash("Slow accrual") != wording_hash("No accrual")


def test_the_tool_rebuilds_the_shipped_file(shared_data, tmp_path):
    spec = importlib.util.spec_from_file_location("make_gold", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    out = tmp_path / "gold.parquet"
    tool.main(shared_data / "stop_reasons_train.parquet", shared_data / "stop_reasons_dev.parquet", out)
    assert pl.read_parquet(out).equals(load_gold())
    with pytest.raises(SystemExit, match="not unique"):
        tool.main(shared_data / "stop_reasons_dev.parquet", shared_data / "stop_reasons_dev.parquet", out)
