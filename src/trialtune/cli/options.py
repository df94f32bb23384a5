"""Options of a command from the fields of a settings class: name, default, bounds and help in one place."""

import inspect
import json
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from trialtune.errors import UsageError
from trialtune.settings import Settings, set_value, validated

_Settings = TypeVar("_Settings", bound=Settings)
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option to a command for each field of the settings classes among its parameters.

    A parameter annotated with a settings class is replaced by the options, including those of nested
    settings; the command gets an instance. `lr_scheduler_type` is --lr-scheduler-type; a flag that
    is off by default has no --no- form; a list is comma-separated or repeated. A
    field with the name of a parameter is left to the command.
    """
    signature = inspect.signature(command)
    classes = {p.name: p.annotation for p in signature.parameters.values() if _is_settings(p.annotation)}
    options = {
        name: [option for option in _options(model()) if option.name not in signature.parameters]
        for name, model in classes.items()
    }
    parameters = [
        given
        for parameter in signature.parameters.values()
        for given in ([o.parameter() for o in options.get(parameter.name, [])] or [parameter])
    ]

    @wraps(command)
    def run(**values: Any) -> None:
        for name, model in classes.items():
            values[name] = _instance(model, {o.path: o.plain(values.pop(o.name)) for o in options[name]})
        command(**values)

    keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = signature.replace(parameters=keyword_only)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


@dataclass(frozen=True)
class _Option:
    """The option of one field; `path` is its path from the settings class of the command."""

    path: tuple[str, ...]
    field: FieldInfo
    default: Any
    panel: str | None

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def type(self) -> Any:
        """The field's type, without None for an optional one."""
        return _without_none(self.field.annotation)

    def parameter(self) -> inspect.Parameter:
        """The parameter from which typer builds an option."""
        annotation, default, more = self.type, self.default, dict[str, Any]()
        flag = f"--{self.name.replace('_', '-')}"
        if annotation is bool:
            flag += f"/--no-{flag[2:]}" if default else ""
        elif annotation is int:
            more = {"parser": whole_number, "metavar": f"<int{_bounds(self.field)}>"}
        elif annotation is float:
            more = {"parser": float_or_null, "metavar": f"<float{_bounds(self.field)}>"}
        elif typing.get_origin(annotation) is tuple:
            annotation, default = list[str], list(default or ())
            more = {"metavar": "<name,...>", "show_default": 0 < len(default) < 4}
        option = typer.Option(flag, help=self.field.description, rich_help_panel=self.panel, **more)
        if self.default is None:
            annotation |= None
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[annotation, option],
        )

    def plain(self, given: Any) -> Any:
        """The value for the settings class."""
        if typing.get_origin(self.type) is tuple:
            return [word.strip() for words in given for word in words.split(",") if word.strip()]
        return given


def _options(settings: Settings, path: tuple[str, ...] = (), panel: str | None = None) -> Iterator[_Option]:
    """Options for all fields, with the defaults of `settings`."""
    for name, field in type(settings).model_fields.items():
        default = getattr(settings, name)
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        heading = typing.cast(str | None, extra.get("panel", panel))
        if isinstance(default, Settings):
            yield from _options(default, (*path, name), heading)
        else:
            yield _Option((*path, name), field, default, heading)


def _instance(model: type[_Settings], values: dict[tuple[str, ...], Any]) -> _Settings:
    """The settings; raises UsageError naming the invalid option."""
    nested: dict[str, Any] = {}
    for (*parents, name), value in values.items():
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = value
    try:
        return model.model_validate(nested)
    except ValidationError as error:
        raise UsageError("\n".join(map(_problem, error.errors()))) from error


def _problem(problem: Any) -> str:
    what = str(problem["msg"]).removeprefix("Value error, ")
    names = [part for part in problem["loc"] if isinstance(part, str)]
    return f"--{names[-1].replace('_', '-')} {problem['input']!r}: {what}" if names else what


def whole_number(text: str | int) -> int:
    """A count that may be written 10_000_000, 10,000,000 or 1e7."""
    try:
        number = float(str(text).replace(",", ""))
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(f"{text!r} is not a whole number, such as 10_000_000")


def float_or_null(text: str | float) -> float | None:
    """A number, or null for an optional setting."""
    try:
        return None if text == "null" else float(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a number") from error


def described(model: type[Settings]) -> str:
    """A help text with the settings for --set, each with its default and description."""
    lines = [
        f"{'.'.join(each.path)}={_as_yaml(each.default)}{_choices(each.type)}: {each.field.description}"
        for each in _options(model())
    ]
    return "\n\n".join(["A setting of the training; may be given several times.", *lines])


def from_sets(model: type[_Settings], sets: list[str] | None) -> _Settings:
    """Settings from --set; raises UsageError naming each wrong key and the closest valid one."""
    values: dict[str, Any] = {}
    for given in sets or []:
        set_value(values, given)
    return validated(model, values, where="--set")


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    [inner] = [part for part in typing.get_args(annotation) if part is not types.NoneType]
    return inner


def _bounds(field: FieldInfo) -> str:
    """` >0 ≤1` for a field between 0 and 1, or empty."""
    return "".join(
        f" {sign}{getattr(bound, name):g}"
        for bound in field.metadata
        for name, sign in _BOUNDS.items()
        if hasattr(bound, name)
    )


def _choices(annotation: Any) -> str:
    is_choice = typing.get_origin(annotation) is Literal
    return f" ({', '.join(map(str, typing.get_args(annotation)))})" if is_choice else ""


def _as_yaml(value: Any) -> str:
    written = value if isinstance(value, str) else json.dumps(value)
    return written.replace("[", "\\[")  # or rich takes it for markup
