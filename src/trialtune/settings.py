"""The base of every settings class: frozen, validated, strict about names; and parsing of overrides."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.config import JsonDict

from trialtune.errors import UsageError


class Settings(BaseModel):
    """Values a recipe or a command line may set; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def panel(name: str) -> JsonDict:
    """A field's `json_schema_extra`: the heading in --help of its option or nested options."""
    return {"panel": name}


_Model = TypeVar("_Model", bound=Settings)


def validated(model: type[_Model], values: Mapping[str, Any], *, where: str) -> _Model:
    """Settings from plain values; raises UsageError naming each wrong key and the closest valid one."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_explain(model, where, problem) for problem in error.errors()]
        raise UsageError("\n".join(lines)) from error


def set_value(values: dict[str, Any], override: str) -> None:
    """Apply `key=value`, or `outer.inner=value`, to nested values; the value is read as YAML.

    Raises UsageError when it is not of that form.
    """
    import yaml  # noqa: PLC0415 - only here, and every command imports this file

    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {override!r}: write key=value, for example --set adapt.lora.r=16")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {override!r}: {text!r} is not valid YAML") from error
    *parents, last = key.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            child = values[parent] = {}
        values = child
    values[last] = value


def nearest(name: str, options: Sequence[str]) -> str:
    """`; did you mean ...?`, or all options."""
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; choose one of {', '.join(options)}"


def _explain(model: type[BaseModel], source: str, problem: Any) -> str:
    """One line of a validation problem: where, what, and the closest valid name or the remedy."""
    *parents, last = problem["loc"] or [""]  # empty: a rule over several settings, which names them
    where = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    match problem["type"]:
        case "extra_forbidden":
            what = f"no such setting{nearest(str(last), _fields_at(model, parents))}"
        case "missing":
            what = "is missing"
        case "string_type" if isinstance(problem["input"], bool | int | float | None):
            what = f"YAML reads this as {problem['input']!r}; put it in quotes"
        case _:
            what = str(problem["msg"]).removeprefix("Value error, ")
    return ": ".join(part for part in (source, where, what) if part)


def _fields_at(model: type[BaseModel], location: list[str | int]) -> list[str]:
    """Names of the settings at a location in a settings class."""
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
