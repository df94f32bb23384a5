"""Crosswalks: from a task's labels to the classes of another scheme, line by line, with sources."""

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path

from pydantic import Field, model_validator

from trialtune.errors import UsageError
from trialtune.files import fingerprint
from trialtune.settings import Settings, nearest
from trialtune.tasks.catalog import TASKS
from trialtune.tasks.declaration import read_declaration
from trialtune.tasks.task import Task

_SUFFIXES = (".yaml", ".yml")


class CrosswalkLine(Settings):
    """The target of one label, and its source."""

    target: str = Field(description="a class of the scheme")
    source: str = Field(min_length=1, description="reference or reason")


class CrosswalkFactor(Settings):
    """A factor that a scheme applies to the score of rows with one of some labels."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="of its column, after the crosswalk's")
    labels: tuple[str, ...] = Field(min_length=1, description="applies to rows with any of these")
    value: float = Field(allow_inf_nan=False, description="for rows with one; 1 for all others")
    source: str = Field(min_length=1, description="where this is published")


class Crosswalk(Settings):
    """A crosswalk's YAML file; every label of the task has exactly one target."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="lower-case letters, digits and _")
    version: str = Field(min_length=1, description="of the file; every output names it")
    task: str = Field(description="the name of the task whose labels these are")
    description: str = Field(description="what the scheme is, in a sentence")
    source: str = Field(min_length=1, description="where the scheme is published")
    classes: dict[str, str] = Field(min_length=1, description="class: definition, in output order")
    labels: dict[str, CrosswalkLine] = Field(min_length=1, description="every label of the task: its class")
    factor: CrosswalkFactor | None = Field(None, description="an additional number per row")

    @model_validator(mode="after")
    def _names_what_is_there(self) -> "Crosswalk":
        spelled: dict[str, str] = {}
        for name in self.classes:
            if not name or "|" in name:  # the separator of classes in CSV files
                raise ValueError(f"classes: {name!r} is not a name; use letters, and no |")
            # Fields of a struct in DuckDB are case-insensitive.
            if (other := spelled.setdefault(name.casefold(), name)) != name:
                raise ValueError(f"classes: {other!r} and {name!r} are too similar")
        for label, line in self.labels.items():
            if line.target not in self.classes:
                choice = nearest(line.target, [*self.classes])
                raise ValueError(f"labels.{label}.target: {line.target!r} is not a class{choice}")
        for label in self.factor.labels if self.factor else ():
            if label not in self.labels:
                raise ValueError(f"factor.labels: {label!r} is not a label{nearest(label, [*self.labels])}")
        if self.factor and self.factor.name == "probabilities":
            raise ValueError("factor.name: probabilities is the name of another column; choose another")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns: classes, their probabilities; the factor, its probability."""
        names = (self.name, f"{self.name}_probabilities")
        if not self.factor:
            return names
        factor = f"{self.name}_{self.factor.name}"
        return (*names, factor, f"{factor}_probability")

    @property
    def described(self) -> dict[str, str]:
        """What each of its columns holds."""
        said = [
            f"Classes of the scheme {self.name} ({self.source}) that the labels lead to.",
            "The probability of each class, from those of its labels.",
        ]
        if self.factor:
            said += [
                f"{self.factor.value:g} where a label of the factor holds, else 1.",
                "The probability that a label of the factor holds.",
            ]
        return dict(zip(self.columns, said, strict=True))

    @property
    def fingerprint(self) -> str:
        """16 hex digits that identify the file's content."""
        return fingerprint(self.model_dump(mode="json"))[:16]

    def labels_of(self, name: str) -> tuple[str, ...]:
        """The labels mapped to a class."""
        return tuple(label for label, line in self.labels.items() if line.target == name)

    def check(self, task: Task, where: str) -> None:
        """Raise UsageError unless these are exactly the labels of the task."""
        if self.task != task.name:
            raise UsageError(f"{where}: is for the task {self.task!r}, not {task.name!r}")
        for label in self.labels:
            if label not in task.labels:
                raise UsageError(
                    f"{where}: labels.{label}: the task {task.name} has no such label"
                    f"{nearest(label, [*task.labels])}"
                )
        if missing := [label for label in task.labels if label not in self.labels]:
            raise UsageError(
                f"{where}: labels: {', '.join(missing)} of the task {task.name} have no target;"
                " give each label one, a new class where the scheme has none"
            )


@lru_cache
def shipped_crosswalks() -> Mapping[str, Crosswalk]:
    """The shipped crosswalks, by name."""
    folder = Path(str(resources.files("trialtune.tasks"))) / "crosswalks"
    return {file.stem: _read(file) for file in sorted(folder.glob("*.yaml"))}


def load_crosswalk(name: str | Path) -> Crosswalk:
    """The shipped crosswalk named `name`, or the one declared in the YAML file of that path.

    Raises UsageError when there is none or it is incomplete; for a user's own task its labels are compared
    with the task's by `crosswalks_for`.
    """
    shipped = shipped_crosswalks()
    if str(name) in shipped:
        return shipped[str(name)]
    if Path(name).suffix.lower() in _SUFFIXES:
        own = _read(Path(name))
        if own.name in shipped and own != shipped[own.name]:
            raise UsageError(f"{name}: name: a shipped crosswalk is named {own.name!r}; choose another name")
        return own
    raise UsageError(
        f"no crosswalk is named {str(name)!r}{nearest(str(name), [*shipped])}"
        f" (crosswalks: {', '.join(shipped)}, or your own .yaml file)"
    )


def _read(path: Path) -> Crosswalk:
    crosswalk = read_declaration(path, Crosswalk, what="crosswalk")
    if task := TASKS.get(crosswalk.task):
        crosswalk.check(task, str(path))
    return crosswalk
