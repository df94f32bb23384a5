"""The project's pages, and the fenced blocks in them."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sybil import Document
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

ROOT = Path(__file__).parents[2]
_PAGES = ("*.md", "docs/**/*.md", "benchmarks/*.md", "packages/*/*.md", "findings/*.md", ".github/**/*.md")
_ANY_INFO = re.compile(r"(?P<info>[^\n]*)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: what its first line says, its text, and the line that it starts on."""

    info: str
    text: str
    line: int


def blocks_of(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, also those in lists, quotes, tabs and notes."""
    document = Document(text, "")
    for region in RawFencedCodeBlockLexer(_ANY_INFO)(document):
        line = text.count("\n", 0, region.start) + 2
        yield Block(region.lexemes["info"].strip(), region.lexemes["source"], line)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> dict[Path, str]:
    """Every page that a reader meets: file -> Markdown, notebooks with their code in fenced blocks."""
    files = [file for pattern in _PAGES for file in ROOT.glob(pattern)]
    found = {file: file.read_text(encoding="utf-8") for file in sorted(files)}
    return found | {file: _notebook(file) for file in sorted(ROOT.glob("notebooks/*.ipynb"))}


@pytest.fixture(scope="session")
def blocks() -> Callable[[str], Iterator[Block]]:
    return blocks_of


def _notebook(file: Path) -> str:
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    sources = (("".join(cell["source"]), cell["cell_type"]) for cell in cells)
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for text, kind in sources)
