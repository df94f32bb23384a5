"""Data flows one way: no folder imports from a later one."""

import ast
from pathlib import Path

import pytest

import trialtune

ROOT = Path(trialtune.__file__).parent
# Folders on one line may not import each other, either.
ORDER = [
    {"threads"},
    {"errors"},
    {"extras"},
    {"settings"},
    {"files", "workers", "console"},
    {"results"},
    {"registry"},
    {"corpus"},
    {"tasks"},
    {"dataset"},
    {"models"},
    {"evaluation"},
    {"classifier"},
    {"training"},
    {"interop", "labelling", "annotation"},
    {"estimation"},
    {"reports"},
    {"stages"},
    {"experiment", "server"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def room(path: Path, under: Path = ROOT) -> str:
    return path.relative_to(under).parts[0].removesuffix(".py")


def imports(path: Path, package: str = "trialtune") -> set[str]:
    """The rooms of `package` that a file imports from."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
        elif isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
    return {
        module.removeprefix(f"{package}.").split(".")[0]
        for module in modules
        if module.startswith(f"{package}.")
    }


# The same inside registry/.
REGISTRY_ORDER = [
    {"record"},
    {"settings", "groups"},
    {"sample", "readers"},
    {"snapshot"},
    {"sync"},
    {"query", "lookup", "split", "diff_base"},
    {"describe", "diff"},
]
REGISTRY_RANK = {name: rank for rank, names in enumerate(REGISTRY_ORDER) for name in names}


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py" or path.parent != ROOT]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_from_a_later_folder(path: Path) -> None:
    own = room(path)
    for other in imports(path):
        assert other == own or RANK[other] < RANK[own], f"{own} imports {other}"


REGISTRY_FILES = [path for path in FILES if room(path) == "registry" and path.parent.name != "sample"]


@pytest.mark.parametrize("path", REGISTRY_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_from_a_later_room_of_the_registry(path: Path) -> None:
    own = room(path, ROOT / "registry")
    if own == "__init__":
        return
    for other in imports(path, "trialtune.registry"):
        assert other == own or REGISTRY_RANK[other] < REGISTRY_RANK[own], f"{own} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
