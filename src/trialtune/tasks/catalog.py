"""The tasks by name: those that come with trialtune, and a user's own."""

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
    """The shipped task called `name`, or the task that a YAML file of that path declares.

    Args:
        name: `stop-reasons`, `sex`, or the path of a .yaml file.

    Returns:
        Its labels with definitions, and what it reads of a record.

    Raises:
        UsageError: There is no such task; it suggests the nearest name, or the nearest key of the file.

    Example:
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
            raise UsageError(f"{name}: name: a shipped task is called {spec.name!r}; choose another name")
        return task_from_spec(spec)
    nearest = difflib.get_close_matches(name.lower(), TASKS, n=1, cutoff=0.0)[0]
    raise UsageError(
        f"no task is called {name!r}; did you mean {nearest!r}?"
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
    """The task that `Task.save` described; raises pydantic's ValidationError for anything else."""
    shipped = TASKS.get(str(described.get("name"))) if described.get("shipped") else None
    if shipped:
        return replace(shipped, max_length=int(described.get("max_length", shipped.max_length)))
    return task_from_spec(TaskSpec.model_validate({k: v for k, v in described.items() if k != "format"}))
