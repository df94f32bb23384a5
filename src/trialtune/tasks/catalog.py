"""The tasks by name: shipped ones, and a user's own."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from trialtune.errors import UsageError
from trialtune.tasks.sex.task import SEX
from trialtune.tasks.spec import TaskSpec, join_columns, read_task_spec
from trialtune.tasks.stop_reasons.task import STOP_REASONS
from trialtune.tasks.task import Task
from trialtune.tasks.text import plain_name

TASKS = {task.name: task for task in (STOP_REASONS, SEX)}


def load_task(name: str | Path) -> Task:
    """The shipped task named `name`, or the task declared in the YAML file of that path.

    Args:
        name: `stop-reasons`, `sex`, or the path of a .yaml file.

    Returns:
        Its labels with definitions, and how it builds a record's text.

    Raises:
        UsageError: There is no such task; it suggests the closest name, or the closest key of the file.

    Examples:
        >>> from trialtune import load_task
        >>> list(load_task("sex").labels)
        ['ALL', 'FEMALE', 'MALE']
    """
    name = str(name)
    if name in TASKS:
        return TASKS[name]
    if Path(name).suffix.lower() in (".yaml", ".yml"):
        spec = read_task_spec(Path(name))
        if spec.name in TASKS:
            raise UsageError(f"{name}: name: a shipped task is named {spec.name!r}; choose another name")
        return task_from_spec(spec)
    nearest = difflib.get_close_matches(name.lower(), TASKS, n=1, cutoff=0.0)[0]
    raise UsageError(
        f"no task is named {name!r}; did you mean {nearest!r}?"
        f" (tasks: {', '.join(TASKS)}, or your own .yaml file)"
    )


def task_from_spec(spec: TaskSpec) -> Task:
    """The task of a user's declaration."""
    fields = tuple(map(plain_name, spec.text))
    return Task(
        name=spec.name,
        kind=spec.kind,
        labels=spec.labels,
        max_length=spec.max_length,
        fields=fields,
        build_text=partial(join_columns, fields),
        label_columns=tuple(map(plain_name, spec.label_columns)),
        synonyms=spec.synonyms,
        spec=spec,
    )


def task_from_description(described: Mapping[str, Any]) -> Task:
    """The task saved by `Task.save`; raises UsageError or pydantic's ValidationError otherwise."""
    if described.get("shipped"):
        shipped = TASKS.get(str(described.get("name")))
        length = described.get("max_length")
        if not shipped:
            raise UsageError(f"no shipped task is named {described.get('name')!r} ({', '.join(TASKS)})")
        if not isinstance(length, int) or length < 1:
            raise UsageError(f"max_length {length!r} is not a number of tokens")
        return replace(shipped, max_length=length)
    return task_from_spec(TaskSpec.model_validate({k: v for k, v in described.items() if k != "format"}))
