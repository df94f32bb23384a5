"""A classifier folder: what it holds, opened."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trialtune.classifier.predictor import Predictor
from trialtune.errors import DataError
from trialtune.evaluation.thresholds import FILE_NAME as DECISION_FILE
from trialtune.evaluation.thresholds import Decision
from trialtune.files import fingerprint, read_json, sha256_of
from trialtune.tasks.catalog import TASKS, task_from_spec
from trialtune.tasks.spec import TaskSpec
from trialtune.tasks.task import TASK_FILE, Task

_MODEL = ("*.safetensors", "*.onnx", "config.json", "tokenizer*.json", "vocab.txt")

_DECIDING = (*_MODEL, DECISION_FILE, TASK_FILE)


def describe_classifier(folder: Path) -> dict[str, Any]:
    """What `finetune` wrote about a classifier (task, max_length, ...), its weights left alone."""
    if not (folder / "training.json").is_file():
        raise DataError(f"{folder}: not a classifier folder; make one with `trialtune finetune`")
    described: dict[str, Any] = read_json(folder / "training.json")
    return described


def classifier_fingerprint(folder: Path) -> str:
    """What tells two classifiers apart: weights, tokeniser, labels, decision rule, and what is read."""
    files = sorted({file for pattern in _DECIDING for file in folder.glob(pattern)})
    longest = describe_classifier(folder)["max_length"]
    return fingerprint([(file.name, sha256_of(file)) for file in files], longest)[:16]


def open_classifier(folder: Path, *, precision: str = "auto") -> tuple[Predictor, Decision, str]:
    """A classifier folder's predictor, decision rule and task name; raises DataError if one is missing."""
    described = describe_classifier(folder)
    predictor = Predictor.load(folder, max_length=described["max_length"], precision=precision)
    return predictor, Decision.load(folder, predictor.labels), described["task"]


def task_of(folder: Path) -> Task:
    """The task of a classifier folder, from its `task.json`, or the name in `training.json` of older ones.

    Raises DataError when the folder names no task that can be opened.
    """
    named = folder / TASK_FILE
    if not named.is_file():
        named = folder / "training.json"
    if not named.is_file():
        raise DataError(f"{folder}: not a classifier folder; make one with `trialtune finetune`")
    described = read_json(named)
    name = described.get("name" if named.name == TASK_FILE else "task")
    if name in TASKS:
        return TASKS[name]
    try:
        return task_from_spec(TaskSpec.model_validate(described))
    except ValidationError as error:
        raise DataError(f"{named}: describes no task ({error.errors()[0]['msg']}); train it again") from error
