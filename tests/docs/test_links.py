"""Links and paths that the pages, the notebooks and the code name lead somewhere.

`mkdocs build --strict` checks links and anchors inside docs/; this also reads the pages outside, and plain
paths.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

#: Files of this repository that a text names, in a link or without one.
_PATH = re.compile(r"(?<![\w./-])(?:docs|benchmarks|tools|notebooks|packages|tests|findings)/[\w./-]*\w\.\w+")
_PARSER = MarkdownIt("commonmark").enable("table")


def links_of(text: str) -> Iterator[str]:
    """Where the links and pictures of a page lead."""
    for token in _tokens(_PARSER.parse(text)):
        target = token.attrGet("href") or token.attrGet("src")
        if isinstance(target, str):
            yield target


def anchors_of(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub names them."""
    tokens = _PARSER.parse(text)
    names: list[str] = []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            plain = "".join(part.content for part in inline.children or ())
            name = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
            names.append(f"{name}-{names.count(name)}" if name in names else name)
    given = re.findall(r'(?:id|name)="([^"]+)"|\{ ?#([\w-]+)', text)
    return {*names, *(anchor for pair in given for anchor in pair if anchor)}


def _tokens(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _tokens(token.children or [])


def test_relative_links_lead_to_files_and_headings(pages: dict[Path, str], root: Path) -> None:
    problems = []
    for page, text in pages.items():
        for link in links_of(text):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.exists():
                problems.append(f"{page.relative_to(root)}: {link}: no such file")
            elif parts.fragment and target.suffix == ".md" and not page.is_relative_to(root / "docs"):
                there = anchors_of(target.read_text(encoding="utf-8"))
                problems += (
                    [] if parts.fragment in there else [f"{page.relative_to(root)}: {link}: no heading"]
                )
    assert not problems, "\n".join(problems)


def test_paths_in_texts_and_in_the_code_exist(pages: dict[Path, str], root: Path) -> None:
    sources = [
        file for name in ("src", "packages", "tools", "benchmarks") for file in (root / name).rglob("*.py")
    ]
    texts = pages | {file: file.read_text(encoding="utf-8") for file in [*sources, root / "Makefile"]}
    problems = [
        f"{file.relative_to(root)}: {path}"
        for file, text in texts.items()
        for path in _PATH.findall(text)
        if not ((root / path).exists() or (file.parent / path).exists())
    ]
    assert not problems, "\n".join(problems)


def test_what_leads_nowhere_is_found() -> None:
    text = (
        "# One `two`\n## One two\n[a](gone.md#x) ![b](c.png) <https://example.org>\n\n| [t](u.md) |\n|---|\n"
    )
    assert {*links_of(text)} == {"gone.md#x", "c.png", "https://example.org", "u.md"}
    assert anchors_of(text) == {"one-two", "one-two-1"}
