"""A recipe: everything that decides an experiment, as validated YAML."""

import difflib
import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from trialtune.corpus.build import CorpusSettings
from trialtune.errors import UsageError
from trialtune.registry.diff import Cut
from trialtune.registry.sample import SampleSettings
from trialtune.settings import Settings
from trialtune.stages.adapt import AdaptSettings
from trialtune.stages.examples import SplitSettings
from trialtune.stages.finetune import FinetuneSettings
from trialtune.tasks.task import get_task


def _check_variant(name: str) -> str:
    """A variant's name is that of its folder and, in the report, stands beside the stages' own."""
    if name in ("base", "adapt") or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(f"{name!r}: choose a name of letters, digits, - and _, not 'base' or 'adapt'")
    return name


class TaskRecipe(Settings):
    """How a task's classifiers are compared."""

    finetune: FinetuneSettings = FinetuneSettings()
    seeds: tuple[int, ...] = Field((1, 2, 3), min_length=1)
    split: SplitSettings = SplitSettings()


class Recipe(Settings):
    """An experiment: data, encoder, training before and after the cut, tasks."""

    name: str
    description: str = ""
    data: str | None = Field(None, description="'sample', a snapshot, or a folder of registry files")
    sample: SampleSettings = SampleSettings()
    encoder: str = "embedded:minilm-l6"
    cut: Cut
    corpus: CorpusSettings = CorpusSettings()
    base: AdaptSettings | None = Field(None, description="full MLM on the trials before the cut")
    adapt: AdaptSettings = AdaptSettings()
    variants: dict[Annotated[str, AfterValidator(_check_variant)], AdaptSettings] = Field(
        {}, description="other adaptations, reported beside `adapt`"
    )
    tasks: dict[str, TaskRecipe] = Field(min_length=1)


def builtin_recipes() -> dict[str, Path]:
    """The recipes that come with the package: name -> file."""
    folder = Path(str(resources.files("trialtune.experiment"))) / "recipes"
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def load_recipe(name: str, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe by built-in name or path and apply `key=value` overrides.

    Raises UsageError naming the key and the nearest right one.
    """
    known = builtin_recipes()
    path = known.get(name, Path(name))
    if not path.is_file():
        raise UsageError(f"recipe {name!r}: no such file or built-in recipe{_nearest(name, list(known))}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: a recipe is a mapping of settings")
    for override in overrides or []:
        _override(values, override)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise UsageError("\n".join(_explain(path, values, problem) for problem in error.errors())) from error
    for task in recipe.tasks:
        if get_task(task).declaration:
            raise UsageError(
                f"{path}: tasks.{task}: a recipe compares the shipped tasks; use `trialtune compare`"
            )
    if recipe.data is None:
        raise UsageError(f"recipe {recipe.name!r} needs data: add --set data=PATH (a snapshot or a folder)")
    return recipe


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {override!r}: write key=value, for example --set adapt.lora.r=16")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {override!r}: {text!r} is not a YAML value") from error
    *parents, last = key.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            child = values[parent] = {}
        values = child
    values[last] = value


def _explain(path: Path, values: dict[str, Any], problem: Any) -> str:
    """One line of a validation problem: where, what, and the nearest right name."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{path}: {where}: {problem['msg']}"
    *_, last = problem["loc"]
    siblings = _fields_at(Recipe, list(problem["loc"][:-1]))
    return f"{path}: {where}: no such setting{_nearest(str(last), siblings)}"


def _fields_at(model: type[BaseModel], location: list[str | int]) -> list[str]:
    """Names of the settings beside a place in a recipe."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue  # a task's name: its settings follow
        found = _models_in(field.annotation)
        if not found:
            return []
        model = found[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = getattr(annotation, "__args__", ())
    return [model for argument in arguments for model in _models_in(argument)]


def _nearest(name: str, options: list[str]) -> str:
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; choose one of {', '.join(options)}"
