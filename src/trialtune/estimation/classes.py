"""The classes of an estimate: a task's labels, combinations of them, classes of a crosswalk."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trialtune.classifier.crosswalk_columns import joint_probability
from trialtune.errors import UsageError
from trialtune.settings import nearest
from trialtune.tasks.crosswalk import Crosswalk
from trialtune.tasks.task import Kind, Task


@dataclass(frozen=True)
class Class:
    """A class of rows: those with any (or, with `every`, all) of some labels."""

    name: str
    labels: tuple[str, ...]
    every: bool = False


@dataclass(frozen=True)
class Classes:
    """The classes of an estimate, in order: the task's labels first."""

    task: Task
    listed: tuple[Class, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.listed)

    def members(self, labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows belong to each class [rows, classes], from their labels [rows, labels]."""
        columns = [
            (labels[:, self._places(one)].all if one.every else labels[:, self._places(one)].any)(axis=1)
            for one in self.listed
        ]
        return np.stack(columns, axis=1)

    def probabilities(self, labels: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of each class [rows, classes] from those of the labels: `joint_probability`."""
        columns = [_probability(labels[:, self._places(one)], one, self.task.kind) for one in self.listed]
        return np.stack(columns, axis=1).astype(np.float32)

    def _places(self, one: Class) -> list[int]:
        labels = list(self.task.labels)
        return [labels.index(label) for label in one.labels]


def classes_of(task: Task, combined: Iterable[str] = (), crosswalks: Iterable[Crosswalk] = ()) -> Classes:
    """A task's labels, combinations written `NAME=A|B` (any) or `NAME=A&B` (all), classes of crosswalks.

    Raises UsageError for a combination that cannot be read, an unknown label or a name that is taken.
    """
    found = [Class(label, (label,)) for label in task.labels]
    found += [_combination(text, task) for text in combined]
    found += [
        Class(f"{crosswalk.name}: {name}", tuple(crosswalk.labels_of(name)))
        for crosswalk in crosswalks
        for name in crosswalk.classes
    ]
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name!r}: two classes have this name; choose another")
    return Classes(task, tuple(one for one in found if one.labels))


def _combination(text: str, task: Task) -> Class:
    name, equals, rest = text.partition("=")
    every = "&" in rest
    labels = tuple(label.strip() for label in rest.split("&" if every else "|"))
    if not equals or not name.strip() or (every and "|" in rest):
        raise UsageError(f"--combine {text!r}: write NAME=LABEL|LABEL for any of them, & for all of them")
    for label in labels:
        if label not in task.labels:
            raise UsageError(f"--combine {text!r}: no label {label!r}{nearest(label, [*task.labels])}")
    return Class(name.strip(), labels, every)


def _probability(stated: NDArray[np.float32], one: Class, kind: Kind) -> NDArray[np.float64]:
    if not one.every:
        return joint_probability(stated, kind)
    if kind == "multi_class" and len(one.labels) > 1:
        return np.zeros(len(stated))  # mutually exclusive labels
    product: NDArray[np.float64] = stated.astype(np.float64).prod(axis=1)
    return product
