"""Locates an experiment's files, in a folder written by trialtune or by the user."""

from dataclasses import dataclass
from pathlib import Path

from trialtune.errors import UsageError
from trialtune.registry.readers.hub import local_copy
from trialtune.tasks.task import Task

SAMPLE = "sample"  # instead of a path: a made-up registry
# The first of these in a folder is its registry; without any, the whole folder is read.
_REGISTRY = ("trials.parquet", "snapshot.parquet", "studies.jsonl.gz")


@dataclass(frozen=True)
class TaskFiles:
    """A task's labelled rows; None where the data have none."""

    train: Path | None  # text, labels
    test: Path | None  # text, labels
    labels: Path | None  # nct_id, labels of the registry's own trials

    @property
    def all(self) -> list[Path]:
        """Every file, for fingerprints."""
        return [path for path in (self.train, self.test, self.labels) if path]


@dataclass(frozen=True)
class DataFiles:
    """The files of an experiment."""

    registry: Path  # anything `trialtune registry import` reads
    folder: Path | None = None  # where tasks may have their own files

    def of(self, task: Task, given: str | None = None) -> TaskFiles:
        """`NAME_train.parquet`, `NAME_dev.parquet`, and `NAME.parquet` with labels by NCT id.

        NAME is the task's, with underscores. The labelled rows `given` by the recipe come first; a user's
        own task may name some itself. Both may be on the Hub.
        """
        name = task.name.replace("-", "_")
        train, test, labels = (
            self.folder / file if self.folder and (self.folder / file).is_file() else None
            for file in (f"{name}_train.parquet", f"{name}_dev.parquet", f"{name}.parquet")
        )
        declared = task.spec.data if task.spec and train is None else None
        train = given_rows(given or declared, task.name) or train
        return TaskFiles(train, test, labels)


def given_rows(given: str | None, task: str) -> Path | None:
    """The table of labelled rows named for a task, fetched when it is on the Hub.

    Raises UsageError when there is no such file, and as `local_copy` does.
    """
    if given is None:
        return None
    found = local_copy(given)
    if not found.is_file():
        raise UsageError(f"data of the task {task}: {given}: no such file")
    return found


def find_data(path: Path) -> DataFiles:
    """Recognize a snapshot, another registry file, or a folder with one and label files.

    Raises UsageError when the path does not exist.
    """
    if not path.exists():
        raise UsageError(f"data {path}: no such file or folder; give --set data=PATH")
    if path.is_file():
        return DataFiles(path)
    registry = next((path / name for name in _REGISTRY if (path / name).is_file()), path)
    return DataFiles(registry, path)
