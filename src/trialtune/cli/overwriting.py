"""Refuses an output path that would overwrite an input of the same command, whatever the command."""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import typer
from typer.models import ArgumentInfo, OptionInfo

from trialtune.errors import UsageError
from trialtune.files import is_replaced_whole

_OUTPUTS = ("out", "output", "html")
_FOLDERS = ("classifier", "encoder", "adapter")  # that are named without a separator or a suffix, too
_UPDATED = ("since",)  # inputs that may be the output itself: `apply` updates its own folder
_IMPORTED = "source"  # of `registry import`: a folder of tables, whose snapshot may lie in it
_SNAPSHOT = "snapshot.parquet"  # what is read of the folder of a sync


def guard(app: typer.Typer) -> None:
    """Put the check before every command of `app` and of its groups."""
    for command in app.registered_commands:
        if command.callback:
            command.callback = _guarded(command.callback)
    for group in app.registered_groups:
        if group.typer_instance:
            guard(group.typer_instance)


def _guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    options = {name: _option(parameter) for name, parameter in inspect.signature(command).parameters.items()}

    @wraps(command)
    def run(**values: Any) -> Any:
        check_outputs(values, options)
        return command(**values)

    return run


def check_outputs(values: Mapping[str, Any], options: Mapping[str, str]) -> None:
    """Check the values of a command's parameters; `options` are their names for the user.

    Raises UsageError naming both when an output is an input, or a folder that is replaced as a whole
    and holds an input.
    """
    for name in _OUTPUTS:
        out = values.get(name)
        if not isinstance(out, Path) or not out.exists():
            continue
        for parameter, given, path in _inputs(values):
            both = f"{options[name]} {out}: {{}} {options[parameter]} {given}, {{}}; give another path"
            if _same(out, path) or (parameter != _IMPORTED and _same(out, path / _SNAPSHOT)):
                raise UsageError(both.format("is also", "which would be overwritten"))
            if is_replaced_whole(out) and path.resolve().is_relative_to(out.resolve()):
                raise UsageError(both.format("is replaced as a whole, and holds", "which would be lost"))


def _inputs(values: Mapping[str, Any]) -> Iterator[tuple[str, str | Path, Path]]:
    """Parameter, value and path of what the command reads."""
    for name, value in values.items():
        if name in (*_OUTPUTS, *_UPDATED):
            continue
        for given in value if isinstance(value, list | tuple) else (value,):
            means_path = isinstance(given, Path) or (isinstance(given, str) and _is_path(name, given))
            if means_path and os.path.exists(given):  # noqa: PTH110 - a long text is no error to it
                yield name, given, Path(given)


def _is_path(parameter: str, text: str) -> bool:
    """Whether a text that may be a name (`sex`, `linear`) means a path."""
    from trialtune.tasks.catalog import TASKS

    if text in TASKS:
        return False
    return parameter in _FOLDERS or os.sep in text or "/" in text or bool(Path(text).suffix)


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _option(parameter: inspect.Parameter) -> str:
    """A parameter as the user writes it: --out, or CLASSIFIER for an argument."""
    usual = f"--{parameter.name.replace('_', '-')}"
    for info in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(info, ArgumentInfo):
            return parameter.name.upper()
        if isinstance(info, OptionInfo):
            # The first name is in `default`, as the default itself is that of the signature.
            named = [text for text in (info.default, *(info.param_decls or ())) if isinstance(text, str)]
            return next((text for text in named if text.startswith("--")), usual)
    return usual
