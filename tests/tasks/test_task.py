"""Tasks are found by name, and the nearest name is suggested."""

import pytest

from trialtune.errors import UsageError
from trialtune.tasks import TASKS, get_task


@pytest.mark.parametrize("name", ["stop-reasons", "sex"])
def test_every_label_is_defined(name):
    task = get_task(name)
    assert task.name == name
    assert all(definition.endswith(".") and len(definition) > 15 for definition in task.labels.values())


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("stop_reasons", "stop-reasons"), ("stopreason", "stop-reasons"), ("gender", "sex"), ("Sex", "sex")],
)
def test_a_wrong_name_gets_the_nearest(wrong, right):
    with pytest.raises(UsageError, match=f"did you mean '{right}'"):
        get_task(wrong)


def test_no_task_reads_a_structured_answer():
    for task in TASKS.values():
        assert not {"sex", "minimum_age", "maximum_age"} & set(task.fields)
