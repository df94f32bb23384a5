"""The reference says what the code does: its generated pages are current, and it names all there is."""

import importlib
import importlib.util
import pkgutil
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import trialtune
from trialtune.settings import Settings


@pytest.fixture(scope="module")
def tool(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", root / "tools" / "reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current(tool: ModuleType) -> None:
    for file, text in tool.pages().items():
        assert file.read_text(encoding="utf-8") == text, f"{file} is out of date: run `make reference`"


def test_generated_pages_hold_nothing_of_this_machine(tool: ModuleType) -> None:
    for text in tool.pages().values():
        assert str(Path.home()) not in text and str(Path.cwd()) not in text
        assert not re.search(r"[\u2500-\u257f]", text)


def test_every_command_and_every_option_is_described(tool: ModuleType, root: Path) -> None:
    page = (root / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    for name, command in tool.commands():
        section = page.partition(f"# `{name}`\n")[2].partition("\n## ")[0]
        assert section, name
        for one in command.params:
            assert one.help, f"{name}: {one.name} has no help"
            assert all(
                f"`{option}`" in section for option in (*one.opts, *one.secondary_opts) if option[0] == "-"
            )
        assert hasattr(command, "commands") or command.epilog, f"{name} has no example"


def test_every_settings_class_is_described(tool: ModuleType) -> None:
    for module in pkgutil.walk_packages(trialtune.__path__, "trialtune."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    listed = [model for models in tool.SETTINGS.values() for model in models]
    # A class that others build on has its fields told with theirs.
    assert {*listed} == {model for model in subclasses(Settings) if not model.__subclasses__()}
    assert [name for name, times in Counter(listed).items() if times > 1] == []


def test_every_setting_says_what_it_is(tool: ModuleType) -> None:
    silent = [
        f"{model.__name__}.{name}"
        for models in tool.SETTINGS.values()
        for model in models
        for name, field in model.model_fields.items()
        if not (field.description or tool._is_settings(tool._without_none(field.annotation)))
    ]
    assert not silent, silent


def test_every_public_name_is_in_the_reference_once(root: Path) -> None:
    page = (root / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    directives = re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)
    public = [name.removeprefix("trialtune.") for name in directives if name.count(".") == 1]
    assert sorted(public) == sorted(trialtune.__all__)
    for directive in directives:
        module, _, name = directive.rpartition(".")
        assert hasattr(importlib.import_module(module), name), directive


def subclasses(model: type[Settings]) -> set[type[Settings]]:
    own = [one for one in model.__subclasses__() if one.__module__.startswith("trialtune.")]
    return {*own, *(below for one in own for below in subclasses(one))}
