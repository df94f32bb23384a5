"""Write docs/reference/command-line.md, settings.md and labels.md from commands, settings classes and tasks.

`make reference` runs it; tests/docs/test_reference.py compares the committed pages with what it gives.
Typer's own `typer utils docs` cuts descriptions short, breaks the list at the many paragraphs of --set and
leaves out bounds; mkdocs-click and mkdocs-typer2 need click's classes, which Typer 0.29 no longer has.
"""

import html
import inspect
import json
import re
import types
import typing
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml
from pydantic.fields import FieldInfo
from rich.text import Text

import trialtune
from trialtune.annotation.settings import DrawSettings
from trialtune.cli import app
from trialtune.corpus.settings import CorpusSettings
from trialtune.dataset.holdout import SplitSettings
from trialtune.estimation.settings import EstimateSettings, PlanSettings
from trialtune.experiment.recipe import OtherEncoder, Recipe, SizesRecipe, TaskRecipe, builtin_recipes
from trialtune.labelling.publication import Publication
from trialtune.models.settings import LoraSettings, ShrinkSettings
from trialtune.registry.settings import MergeSettings, SampleSettings, SyncRequest, SyncSettings
from trialtune.registry.split import Cut
from trialtune.server.app import ServiceSettings
from trialtune.settings import Settings
from trialtune.stages.apply import LabelSettings
from trialtune.stages.settings import AdaptSettings, FinetuneSettings, PartSettings
from trialtune.tasks.catalog import TASKS
from trialtune.tasks.crosswalk import Crosswalk, CrosswalkFactor, CrosswalkLine
from trialtune.tasks.spec import TaskSpec
from trialtune.training.settings import TrainSettings

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
_SET = "KEY=VALUE"  # the metavar of --set
_LONG = 100  # characters of a default that no longer fits a cell

#: Every settings class, by what it is for.
SETTINGS: dict[str, tuple[type[Settings], ...]] = {
    "Training": (AdaptSettings, TrainSettings, LoraSettings, FinetuneSettings, ShrinkSettings),
    "Trials": (SyncRequest, SyncSettings, MergeSettings, SampleSettings),
    "Rows and texts": (CorpusSettings, PartSettings),
    "Labels": (LabelSettings, Publication, ServiceSettings, DrawSettings, PlanSettings, EstimateSettings),
    "Recipes": (Recipe, Cut, TaskRecipe, SplitSettings, OtherEncoder, SizesRecipe),
    "Files of your own": (TaskSpec, Crosswalk, CrosswalkLine, CrosswalkFactor),
}
#: Commands that name the options of these settings themselves.
_BY_HAND = {LabelSettings: "apply", ServiceSettings: "serve", SizesRecipe: "compare"}
_BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}
_BOUNDS |= {"min_length": "at least {}", "pattern": "matches {}"}
_NAMES = {str: "text", int: "int", float: "float", bool: "true or false", Path: "path"}
_GENERATED = "<!-- Written by `make reference`. Edit {source} instead. -->\n"


def pages() -> dict[Path, str]:
    """The generated pages: file -> text."""
    return {
        FOLDER / "command-line.md": command_line(),
        FOLDER / "settings.md": settings(),
        FOLDER / "labels.md": labels(),
    }


# The labels


def labels() -> str:
    """The page of the built-in tasks' labels."""
    parts = [
        "# Labels",
        _GENERATED.format(source="the tasks in src/trialtune/tasks"),
        "What the labels of the built-in tasks mean, in the order of the columns of probabilities. `trialtune"
        " classifiers stop-reasons` prints the same, with the scores"
        " ([more of them](../results/classifiers.md)). A task of your own has"
        " [labels of your own](../tutorials/own-classes.md); [crosswalks](../how-to/crosswalks.md) map these"
        " to other schemes.",
    ]
    for name in TASKS:
        task = trialtune.load_task(name)
        several = "several may hold" if task.kind == "multi_label" else "exactly one holds"
        read = ", ".join(f"`{field}`" for field in task.fields)
        parts += [
            f"## `{name}`",
            f"{len(task.labels)} labels, {several}; read from {read}.",
            _table(["Label", "Definition"], [[_code(label), text] for label, text in task.labels.items()]),
        ]
    return _page(parts)


# The command line


@cache
def _command_line() -> Any:
    return typer.main.get_command(app)


def commands(command: Any = None, path: tuple[str, ...] = ("trialtune",)) -> Iterator[tuple[str, Any]]:
    """Every command and group, by its full name."""
    command = command or _command_line()
    yield " ".join(path), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


def command_line() -> str:
    """The page of commands."""
    every = dict(sorted(commands()))
    root = every.pop("trialtune")
    leaves = {name: command for name, command in every.items() if not hasattr(command, "commands")}
    index = _table(
        ["Command", "What it does"],
        [[f"[`{name}`](#{_anchor(name)})", _prose(_first(leaf.help))] for name, leaf in leaves.items()],
    )
    parts = [
        "# Command line",
        _GENERATED.format(source="the commands in src/trialtune/cli"),
        "Every command has `--help` (`-h`) with an example, and takes `--debug`, which shows where something"
        " went wrong. Results go to stdout, progress and messages to stderr; `--json` prints the result as"
        " JSON. [Exit codes](files.md#exit-codes) and [environment variables](files.md#environment-variables)"
        " are listed with the files, settings that `--set` and recipes reach under [Settings](settings.md).",
        index,
        "## `trialtune`",
        _parameters(root),
    ]
    for name, command in every.items():
        level = "##" if name.count(" ") == 1 else "###"
        parts += [f"{level} `{name}`", _prose(command.help)]
        if name in leaves:
            parts += [f"Usage: {_code(_usage(name, command))}", _parameters(command), _example(command)]
    return _page(parts)


def _usage(name: str, command: Any) -> str:
    words = [name]
    for one in command.params:
        if one.param_type_name == "argument":
            word = one.name.upper() + ("..." if one.nargs == -1 else "")
            words.append(word if one.required else f"[{word}]")
        elif one.required:
            words.append(f"{one.opts[0]} {one.name.upper()}")
    return " ".join([*words, "[OPTIONS]"])


def _parameters(command: Any) -> str:
    """Tables of the arguments and of the options under each heading of --help."""
    signature = inspect.signature(command.callback).parameters
    groups: dict[str, list[list[str]]] = {}
    for one in command.params:
        given = signature.get(one.name)
        kind, info = _annotation(given.annotation) if given else (bool, None)
        row = [_names(one), _type_of(kind, info), _default_of(one), _help_of(command, one)]
        argument = one.param_type_name == "argument"
        groups.setdefault("Argument" if argument else one.rich_help_panel or "Option", []).append(row)
    headings = {"Argument": "", "Option": ""}
    tables = []
    for heading in sorted(groups, key=lambda name: (name != "Argument", name != "Option")):
        title = headings.get(heading, f"{heading}:\n\n")
        first = "Argument" if heading == "Argument" else "Option"
        tables.append(title + _table([first, "Type", "Default", "Description"], groups[heading]))
    return "\n\n".join(tables)


def _annotation(annotation: Any) -> tuple[Any, Any]:
    """The type of a parameter, and what Typer is told about it."""
    kind, info = typing.get_args(annotation) if typing.get_origin(annotation) is Annotated else (bool, None)
    return _without_none(kind), info


def _names(one: Any) -> str:
    if one.param_type_name == "argument":
        return _code(one.name.upper() + ("..." if one.nargs == -1 else ""))
    return ", ".join(map(_code, [*one.opts, *one.secondary_opts]))


def _type_of(kind: Any, info: Any) -> str:
    metavar = getattr(info, "metavar", None)
    if metavar:
        return _code(metavar) if metavar == _SET else _prose(metavar.strip("<>"))
    if kind is bool:
        return "flag"
    name = _type(typing.get_args(kind)[0] if typing.get_origin(kind) is list else kind)
    low, high = getattr(info, "min", None), getattr(info, "max", None)
    name += f" ≥ {low:g}" if low is not None else ""
    name += f", ≤ {high:g}" if high is not None else ""
    several = typing.get_origin(kind) is list and isinstance(info, typer.models.OptionInfo)
    return f"{name}, repeatable" if several else name


def _default_of(one: Any) -> str:
    if one.required:
        return "required"
    if one.default is None or one.default in ([], ()) or one.is_flag or one.show_default is False:
        return "on" if getattr(one, "is_flag", False) and one.default else ""
    return _code(", ".join(map(str, one.default)) if isinstance(one.default, list) else str(one.default))


def _help_of(command: Any, one: Any) -> str:
    text = _prose(_first(one.help))
    if one.metavar != _SET:
        return text
    model = Recipe if command.name == "run" else FinetuneSettings
    return f"{text} [The settings](settings.md#{model.__name__.lower()})."


def _example(command: Any) -> str:
    _, *lines = Text.from_markup(command.epilog).plain.split("\n\n")
    return "\n".join(["```sh", *(line.strip() for line in lines), "```"])


# Settings


def settings() -> str:
    """The page of settings."""
    parts = [
        "# Settings",
        _GENERATED.format(source="the settings classes in src/trialtune"),
        "Settings have the same names as options (`batch_size` is `--batch-size`), after `--set`, in a recipe"
        " and in Python. Names are those of `transformers` and PEFT where these have one. An unknown name is"
        " an error that names the nearest right one. `null` means: not set.",
    ]
    for heading, models in SETTINGS.items():
        parts.append(f"## {heading}")
        if heading == "Recipes":
            parts.append(_recipes())
        for model in models:
            parts += [f"### {model.__name__}", _prose(_first(model.__doc__)), _uses(model), _fields(model)]
    return _page(parts)


def _recipes() -> str:
    rows = []
    for name, file in builtin_recipes().items():
        description = yaml.safe_load(file.read_text(encoding="utf-8"))["description"]
        rows.append([_code(name), _prose(" ".join(description.split()))])
    intro = (
        "A recipe is a YAML file that `trialtune run` takes, or one of the names below. `NAME` stands for a"
        " name of your choice; `--set key.key=VALUE` changes one value."
    )
    return f"{intro}\n\n{_table(['Recipe', 'What it does'], rows)}"


def _uses(model: type[Settings]) -> str:
    """Where the settings are given."""
    uses: list[str] = []
    by_option: list[str] = []
    by_set: list[str] = []
    for name, command in sorted(commands()):
        callback = inspect.unwrap(command.callback) if command.callback else None
        given = inspect.signature(callback).parameters.values() if callback else ()
        link = f"[`{name}`](command-line.md#{_anchor(name)})"
        if any(p.annotation is model for p in given) or name == f"trialtune {_BY_HAND.get(model)}":
            by_option.append(link)
        elif any(one.metavar == _SET for one in command.params):
            wanted = Recipe if name == "trialtune run" else FinetuneSettings
            by_set += [link] if model is wanted else []
    if by_option:
        uses.append(f"options of {', '.join(by_option)}")
    if by_set:
        uses.append(f"`--set` of {', '.join(by_set)}")
    keys = [_code(path) for path, inner in _paths(Recipe) if inner is model]
    if keys:
        uses.append(f"recipe: {', '.join(keys)}")
    if model.__name__ in trialtune.__all__:
        uses.append(f"Python: [`trialtune.{model.__name__}`](python.md#trialtune.{model.__name__})")
    text = "; ".join(uses)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _paths(model: type[Settings], path: str = "") -> Iterator[tuple[str, type[Settings]]]:
    """The keys of a recipe that lead to settings."""
    for name, field in model.model_fields.items():
        kind, key = _without_none(field.annotation), f"{path}{name}"
        if typing.get_origin(kind) is dict:
            kind, key = typing.get_args(kind)[1], f"{key}.NAME"
        if _is_settings(kind):
            yield key, kind
            yield from _paths(kind, f"{key}.")


def _fields(model: type[Settings]) -> str:
    rows, below = [], []
    for name, field in model.model_fields.items():
        default = _default(field)
        if len(default) > _LONG and not _is_settings(type(field.default)):
            default, full = "below", default
            below.append(f"Default of `{name}`: {full}.")
        rows.append([_code(name), _field_type(field), default, _prose(field.description or "")])
    return "\n\n".join([_table(["Name", "Type", "Default", "Description"], rows), *below])


def _field_type(field: FieldInfo) -> str:
    kind = _without_none(field.annotation)
    bounds = [
        "not empty"
        if name == "min_length" and kind is str
        else bound.format(_code(value) if isinstance(value, str) else value)
        for each in field.metadata
        for name, bound in _BOUNDS.items()
        if (value := getattr(each, name, None)) is not None
    ]
    null = " or `null`" if kind is not field.annotation else ""
    return f"{_type(kind)} {', '.join(bounds)}".strip() + null


def _type(kind: Any) -> str:
    """A type in words."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return ", ".join(_code(str(choice)) for choice in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join("`null`" if part is types.NoneType else _type(part) for part in arguments)
    if _is_settings(kind):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return _NAMES[kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, Settings):
        usual = type(field.default)().model_dump(mode="json")
        given = field.default.model_dump(mode="json")
        return ", ".join(f"`{key}: {value}`" for key, value in given.items() if usual[key] != value)
    return _code(json.dumps(field.default, ensure_ascii=False).strip('"') or '""')


# Markdown


def _without_none(kind: Any) -> Any:
    """The type of what may be left out, when it is set."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind
    inner = [part for part in typing.get_args(kind) if part is not types.NoneType]
    return inner[0] if len(inner) == 1 else kind


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def _first(text: str | None) -> str:
    """The first paragraph on one line."""
    return " ".join((text or "").split("\n\n")[0].split())


def _prose(text: str) -> str:
    """A help text as Markdown that is safe in a table: its `code` stays, all else is plain."""
    parts = Text.from_markup(text).plain.split("`")
    return "".join(_code(part) if index % 2 else _plain(part) for index, part in enumerate(parts))


def _plain(text: str) -> str:
    text = re.sub(r"([*\\\[\]])", r"\\\1", html.escape(text, quote=False)).replace("|", "&#124;")
    return re.sub(r"https?://[^\s),;]+", r"<\g<0>>", text)


def _code(text: str) -> str:
    """Code, which in a table may not hold a bare bar."""
    return f"<code>{html.escape(text)}</code>".replace("|", "&#124;") if "|" in text else f"`{text}`"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _page(parts: Sequence[str]) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")
        print(file)
