"""A recipe: everything that decides an experiment, as validated YAML."""

import re
from importlib import resources
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, Field

from trialtune.corpus.settings import CorpusSettings
from trialtune.dataset.holdout import SplitSettings
from trialtune.errors import UsageError
from trialtune.experiment.size_settings import SizeSettings
from trialtune.registry.sample import SampleSettings
from trialtune.registry.split import Cut
from trialtune.settings import Settings, nearest, set_value, validated
from trialtune.stages.settings import AdaptSettings, FinetuneSettings
from trialtune.tasks.catalog import load_task
from trialtune.tasks.task import Task


def _check_name(name: str) -> str:
    """The name becomes a folder's and, in the report, is listed with those of stages and systems."""
    if name in ("base", "adapt", "adapted") or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError(
            f"{name!r}: choose a name of letters, digits, - and _, not 'base', 'adapt' or 'adapted'"
        )
    return name


class OtherEncoder(Settings):
    """Another encoder, fine-tuned and scored on the same rows as base and adapted."""

    encoder: str = Field(description="a folder, a Hub id, or a bundled encoder such as embedded:mpnet-base")
    finetune: FinetuneSettings = FinetuneSettings()
    seeds: tuple[int, ...] = Field((1,), min_length=1, description="each trains one classifier")


class SizesRecipe(SizeSettings):
    """A comparison over training sizes in a recipe."""

    finetune: FinetuneSettings | None = Field(
        None, description="training at every size; the task's own settings when null"
    )


class TaskRecipe(Settings):
    """How a task's classifiers are compared."""

    spec: Path | None = Field(None, description="the .yaml file of your own task, relative to the recipe's")
    data: str | None = Field(
        None,
        description="labelled rows stored elsewhere: a table, or hf://datasets/OWNER/NAME/FILE",
    )
    finetune: FinetuneSettings = FinetuneSettings()
    seeds: tuple[int, ...] = Field((1, 2, 3, 4, 5), min_length=1, description="each trains two classifiers")
    others: dict[Annotated[str, AfterValidator(_check_name)], OtherEncoder] = Field(
        {}, description="other encoders, such as larger ones, listed with base and adapted"
    )
    split: SplitSettings = SplitSettings()
    train_sizes: SizesRecipe | None = Field(
        None, description="also compare on nested training sets of growing size"
    )


class Recipe(Settings):
    """An experiment: data, encoder, training before and after the cut, tasks."""

    name: str = Field(description="of the run, and of its folder runs/NAME")
    description: str = Field("", description="what `trialtune recipes` says of it")
    data: str | None = Field(None, description="'sample', a snapshot, or a folder of registry files")
    sample: SampleSettings = SampleSettings()
    encoder: str = Field(
        "embedded:minilm-l6", description="what all training starts from: a folder or a Hub id"
    )
    cut: Cut
    corpus: CorpusSettings = CorpusSettings()
    base: AdaptSettings | None = Field(None, description="full MLM on the trials before the cut")
    adapt: AdaptSettings = AdaptSettings()
    variants: dict[Annotated[str, AfterValidator(_check_name)], AdaptSettings] = Field(
        {}, description="other adaptations, reported with `adapt`"
    )
    tasks: dict[Annotated[str, AfterValidator(_check_name)], TaskRecipe] = Field(
        min_length=1, description="stop-reasons, sex, or tasks of your own, which name their `spec`"
    )

    def task(self, name: str) -> Task:
        """The task named `name`; raises UsageError when there is none, or its file has another name."""
        spec = self.tasks[name].spec
        task = load_task(spec or name)
        if task.name != name:
            raise UsageError(
                f"tasks.{name}.spec: {spec} declares the task {task.name!r}; use that name here too"
            )
        return task


def _beside(recipe: Path, task: TaskRecipe) -> TaskRecipe:
    """The task's settings with its file resolved against the recipe's folder."""
    return task.model_copy(update={"spec": recipe.parent / task.spec}) if task.spec else task


def builtin_recipes() -> dict[str, Path]:
    """The built-in recipes: name -> file."""
    folder = Path(str(resources.files("trialtune.experiment"))) / "recipes"
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def load_recipe(name: str, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe by built-in name or path and apply `key=value` overrides.

    Raises UsageError naming the key and the closest valid one.
    """
    known = builtin_recipes()
    path = known.get(name, Path(name))
    if not path.is_file():
        raise UsageError(f"recipe {name!r}: no such file or built-in recipe{nearest(name, list(known))}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: a recipe is a mapping of settings")
    for override in overrides or []:
        set_value(values, override)
    recipe = validated(Recipe, values, where=str(path))
    recipe = recipe.model_copy(
        update={"tasks": {name: _beside(path, task) for name, task in recipe.tasks.items()}}
    )
    for task in recipe.tasks:
        recipe.task(task)  # raises when there is none
    if recipe.data is None:
        raise UsageError(f"recipe {recipe.name!r} needs data: add --set data=PATH (a snapshot or a folder)")
    return recipe
