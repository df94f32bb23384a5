"""The blocks of the README and the tutorials run as they stand, page by page, in order.

A block marked `sh`, `bash` or `python` is executed; what must not be (an installation, `make`, the network,
what a command prints) is marked `console` or `text`. A page's blocks share a folder, which is empty at
first, and its Python blocks one namespace; output that stands behind `>>>` is compared.

Sybil reads the pages: pytest-markdown-docs 0.9 demands an older markdown-it-py than ours, mktestdocs and
pytest-codeblocks run each block by itself, without the files of those before it.
"""

import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/tutorials/*.md"))]
EXECUTED = {"sh", "bash", "python"}
SHOWN = {"", "console", "text", "yaml", "json", "csv", "sql", "toml", "bibtex", "mermaid", "dockerfile", "r"}
SECONDS = 300
NO_NETWORK = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run a page in, with the installed commands at hand and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, NO_NETWORK)
    return tmp_path


@pytest.mark.skipif(not shutil.which("bash"), reason="the pages' commands are for bash")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_runs(page: Path, folder: Path) -> None:
    for block in blocks(page):
        try:
            block.evaluate()
        except Exception as error:
            # A Python block is compiled as if its page were the source: the traceback has the page's lines.
            frames = traceback.extract_tb(error.__traceback__)
            line = next((frame.lineno for frame in frames if frame.filename == str(page)), block.line)
            said = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
            where = f"{page.relative_to(ROOT)}:{line}"
            message = f"{where}: {type(error).__name__}: {error}\n{said}\n{block.parsed}"
            pytest.fail(message, pytrace=False)


def blocks(page: Path) -> Iterator[Example]:
    """What is executed of a page."""
    shells = (CodeBlockParser(language, run_shell) for language in ("sh", "bash"))
    return Document.parse(str(page), PythonCodeBlockParser(), *shells).examples()


def run_shell(block: Example) -> None:
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.parsed],
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )


def test_every_block_says_whether_it_runs(pages: dict[Path, str], blocks: Callable[[str], Any]) -> None:
    """Of an unknown word, or of `python title=...`, nobody would notice that it is not executed."""
    wrong = [
        f"{page.relative_to(ROOT)}:{block.line}: {block.info!r}"
        for page, text in pages.items()
        for block in blocks(text)
        if block.info not in EXECUTED | SHOWN
    ]
    assert not wrong, "\n".join(wrong)


def test_a_failure_names_the_page_and_the_line(folder: Path) -> None:
    page = folder / "page.md"
    page.write_text(
        "# Page\n\n```sh\necho fine > made\n```\n\n1. A list\n\n    ```sh\n    cat made missing\n    ```\n"
    )
    first, second = blocks(page)
    first.evaluate()
    with pytest.raises(subprocess.CalledProcessError) as error:
        second.evaluate()
    assert second.line == 9 and "missing" in error.value.stderr
