"""The task of labelled rows: the one that `apply` noted, or the shipped one with these labels."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from trialtune.errors import UsageError
from trialtune.labelling.output import RECORD, Labelled
from trialtune.tasks.catalog import TASKS, task_from_spec
from trialtune.tasks.spec import TaskSpec
from trialtune.tasks.task import Task
from trialtune.tasks.text import plain_name


def task_of_labels(path: Path, stated: Iterable[str]) -> Task:
    """The task of an output folder of `apply`, one of its parts, or a table of predictions.

    `stated` are the labels that have probabilities, as `plain_name`. A user's own task has its labels, but
    neither definitions nor columns. Raises UsageError when nothing names the task.
    """
    if noted := _noted(path):
        shipped = TASKS.get(str(noted["name"]))
        if shipped and [*shipped.labels] == noted["labels"]:
            return shipped
        try:
            return task_from_spec(TaskSpec.model_validate(noted))
        except ValidationError:
            pass  # of another version; --task says it
    labels = set(stated)
    for task in TASKS.values():
        if set(map(plain_name, task.labels)) == labels:
            return task
    raise UsageError(
        f"{path}: does not name the task of its labels; name it with --task: {', '.join(TASKS)}, or the .yaml"
        " file of your own task"
    )


def _noted(path: Path) -> dict[str, Any] | None:
    """Name, kind and labels as `apply` noted them in its record and in the footer of each part."""
    if path.is_dir() and (path / RECORD).is_file():
        record = Labelled.open(path).record
        return {"name": record.get("task"), "kind": record.get("kind"), "labels": record.get("labels")}
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return None
    try:
        footer = {key.decode(): text.decode() for key, text in (pq.read_schema(path).metadata or {}).items()}
        names = ("name", "task"), ("kind", "kind")
        noted = {name: footer[f"trialtune.{key}"] for name, key in names}
        return {**noted, "labels": json.loads(footer["trialtune.labels"])}
    except (KeyError, ValueError, OSError, pa.ArrowInvalid):
        return None
