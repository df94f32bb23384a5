"""Data flows one way: no folder imports from a later one."""

import ast
from pathlib import Path

import pytest

import trialtune

ROOT = Path(trialtune.__file__).parent
# Folders on one line may not import each other, either.
ORDER = [
    {"errors"},
    {"settings"},
    {"files", "workers"},
    {"registry"},
    {"corpus"},
    {"models"},
    {"training"},
    {"tasks"},
    {"evaluation"},
    {"reports", "inference"},
    {"console"},
    {"stages"},
    {"experiment", "server"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
        elif isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
    return {
        parts[1] for module in modules if (parts := module.split("."))[0] == "trialtune" and len(parts) > 1
    }


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py" or path.parent != ROOT]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_from_a_later_folder(path: Path) -> None:
    own = room(path)
    for other in imports(path):
        assert other == own or RANK[other] < RANK[own], f"{own} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
