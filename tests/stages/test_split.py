"""`trialtune split` writes parts that add up and share nothing."""

import polars as pl
import pytest
from pydantic import ValidationError

from trialtune.dataset.overlap import check_no_overlap
from trialtune.dataset.split_summary import SplitSummary
from trialtune.stages.settings import PartSettings
from trialtune.stages.split import write_split
from trialtune.tasks.catalog import load_task

STOP = load_task("stop-reasons")


@pytest.fixture(scope="module")
def reasons(shared_data) -> pl.DataFrame:
    return pl.read_parquet(shared_data / "stop_reasons_train.parquet").head(1500)


@pytest.mark.parametrize("settings", [{}, {"test_share": 0.4}, {"folds": 3}, {"after": "2015-01-01"}])
def test_the_parts(reasons, tmp_path, settings) -> None:
    summary = write_split(STOP, reasons, tmp_path / "parts", settings=PartSettings(**settings))
    assert SplitSummary.load(tmp_path / "parts" / "split.json") == summary
    parts = {name: pl.read_parquet(tmp_path / "parts" / f"{name}.parquet") for name in summary.parts}
    for name, part in parts.items():
        counted = summary.parts[name]
        assert counted.rows == len(part)
        assert counted.labels["Covid19"] == part["labels"].list.contains("Covid19").sum()
    if "folds" in settings:
        assert list(parts)[:2] == ["fold-1/train", "fold-1/test"]
        assert sum(len(part) for name, part in parts.items() if name.endswith("test")) == len(reasons)
    else:
        assert list(parts) == ["train", "test"]
        assert len(parts["train"]) + len(parts["test"]) + (summary.straddling or 0) == len(reasons)
        check_no_overlap(parts["train"], parts["test"])
    assert set(summary.near_duplicates.values()) == {0}


def test_one_way_of_dividing_at_a_time() -> None:
    with pytest.raises(ValidationError, match="--folds or --after, not both"):
        PartSettings(folds=3, after="2015")
