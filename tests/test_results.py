"""Results are what their JSON files say, and nothing else."""

import json
import math

import pytest
from pydantic import ValidationError

from trialtune.errors import DataError
from trialtune.evaluation.intervals import Interval, Intervals

FOUND = Intervals(
    micro_f1=Interval(0.1, 0.2), macro_f1=Interval(1 / 3, math.pi), per_class={"a": Interval(0, 1), "b": None}
)


def test_a_result_is_read_back_whole(tmp_path) -> None:
    FOUND.save(tmp_path / "found.json")
    assert Intervals.load(tmp_path / "found.json") == FOUND
    assert json.loads((tmp_path / "found.json").read_text())["per_class"] == {"a": [0, 1], "b": None}


def test_a_file_of_something_else_is_refused_by_name(tmp_path) -> None:
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"micro_f1": [0.1, 0.2], "macro_f1": ["much", 1], "per_class": {}}))
    with pytest.raises(DataError, match=r"found\.json: macro_f1\..*create it again"):
        Intervals.load(path)
    with pytest.raises(DataError, match="no such file"):
        Intervals.load(tmp_path / "other.json")


def test_a_result_cannot_be_changed_or_given_other_names() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FOUND.micro_f1 = Interval(0, 0)
    with pytest.raises(ValidationError, match="mikro_f1"):
        Intervals.model_validate({**dict(FOUND), "mikro_f1": 1})
