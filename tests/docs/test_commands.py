"""Every `trialtune ...` that a page, a message or a help text shows is one that the command line takes."""

import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from trialtune.cli import app

_CONTINUED = re.compile(r"\\\n\s*")
_PROMPT = re.compile(r"^\s*(?:[$%>!]\s+|!)?")
_BEFORE = re.compile(
    r"^(?:[A-Z_]+=\S*\s+)*(?:\S*/)?(?:python3? -m )?(?=trialtune\s)|^torchrun .*?-m (?=trialtune\s)"
)
_EVERYWHERE = ("--help", "-h", "--debug")
_INLINE = re.compile(r"`(trialtune [^`\n]+)`")


@cache
def command_line() -> Any:
    """The commands, built once."""
    return typer.main.get_command(app)


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of each call of trialtune in a shell's block, without what it is piped to and from."""
    for written in _CONTINUED.sub(" ", text).splitlines():
        line = _BEFORE.sub("", _PROMPT.sub("", written))
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        if not re.match(r"trialtune\s", line):
            continue
        for word in lexer:
            if set(word) <= set("|&;<>"):
                break
            words.append(word)
        yield words[1:]


def parse(words: list[str]) -> None:
    """Parse a call as the command line does, values and what is required included, and run nothing.

    Raises what the command line would say of it.
    """
    words = [word for word in words if word != "--debug"]
    command: Any = command_line()
    context = command.make_context("trialtune", words)
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, words, parent=context)


def options_exist(words: list[str]) -> None:
    """Check the command's name and the names of options, of a mention that leaves out the rest."""
    command: Any = command_line()
    known = {*_EVERYWHERE}
    for word in words:
        known |= {name for one in command.params for name in _options(one)}
        if word.startswith("-"):
            assert word.partition("=")[0] in known, f"no option {word}"
        elif hasattr(command, "commands"):
            assert word in command.commands or word.isupper() or word == "...", f"no command {word}"
            command = command.commands.get(word, command)


def every_command(command: Any = None) -> Iterator[Any]:
    command = command or command_line()
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from every_command(inner)


def _options(one: Any) -> tuple[str, ...]:
    return (*one.opts, *one.secondary_opts)


def problem(check: Callable[[list[str]], None], words: list[str]) -> str | None:
    try:
        check(words)
    except (typer.Exit, SystemExit):  # --help and --version answer and end
        return None
    except Exception as error:
        return f"trialtune {shlex.join(words)}: {getattr(error, 'message', '') or error}"
    return None


def test_commands_in_blocks_parse(pages: dict[Path, str], blocks: Callable[[str], Any], root: Path) -> None:
    problems = [
        f"{page.relative_to(root)}:{block.line}: {wrong}"
        for page, text in pages.items()
        for block in blocks(text)
        for words in commands_in(block.text)
        if (wrong := problem(parse, words))
    ]
    assert not problems, "\n".join(problems)


def test_commands_in_sentences_exist(pages: dict[Path, str], root: Path) -> None:
    sources = {file: file.read_text(encoding="utf-8") for file in sorted((root / "src").rglob("*.py"))}
    problems = [
        f"{page.relative_to(root)}: {wrong}"
        for page, text in (pages | sources).items()
        for call in _INLINE.findall(text)
        if (wrong := problem(options_exist, call.split()[1:]))
    ]
    assert not problems, "\n".join(problems)


def test_options_in_sentences_exist(pages: dict[Path, str], root: Path) -> None:
    # benchmarks/ and CONTRIBUTING.md speak of scripts that have options of their own.
    ours = {page: text for page, text in pages.items() if page.is_relative_to(root / "docs")}
    known = {*_EVERYWHERE} | {
        name for command in every_command() for one in command.params for name in _options(one)
    }
    problems = [
        f"{page.relative_to(root)}: no option {name}"
        for page, text in ours.items()
        for name in re.findall(r"`(--[a-z][a-z-]*)", text)
        if name not in known
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("call", ["trialtune fly", "trialtune registry fly", "trialtune predict --wings"])
def test_a_mention_of_what_is_not_there_is_found(call: str) -> None:
    assert problem(options_exist, call.split()[1:])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("trialtune fly", "fly"),
        ("trialtune predict sex x --wings", "--wings"),
        ("trialtune apply sex", "Missing"),
        ("trialtune serve sex --port x", "integer"),
    ],
)
def test_what_the_command_line_refuses_is_found(call: str, said: str) -> None:
    [words] = commands_in(call)
    assert said in (problem(parse, words) or "").removeprefix(call)


def test_calls_are_found_in_all_their_forms() -> None:
    text = (
        "$ A=1 .venv/bin/trialtune predict sex \\\n    'a # b' | head  # a comment\n"
        "! trialtune run quick > log\ntrialtune-models 1\n"
    )
    assert list(commands_in(text)) == [["predict", "sex", "a # b"], ["run", "quick"]]
