"""Rows of JSON files, read study by study so that a file of any size fits in memory."""

import codecs
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import orjson

from trialtune.errors import DataError
from trialtune.registry.readers.chunk import Chunk, ready
from trialtune.registry.readers.file_block import FileBlock
from trialtune.registry.readers.text import LONGEST_LINE, lines, text_reader, undecodable
from trialtune.registry.record.aliases import columns_of
from trialtune.registry.record.nested import study_of
from trialtune.registry.record.row import Row, bad_row, value_row
from trialtune.registry.record.validate import is_nct_id

# Control characters inside strings are accepted here: the records drop them.
_DECODER = json.JSONDecoder(strict=False)
_BLANK = re.compile(r"[ \t\r\n]*")
_CHUNK = 1 << 20
_LINE_END = re.compile(rb"\r\n|[\r\n]")
# How close to the end of the text an error must be to mean "the rest is still to come".
_CUT_TOKEN = 16


# Lists of studies, and the objects around them: in the API, its predecessor, and common variants.
_STUDIES = ("studies", "FullStudies", "StudyFields", "trials", "records")
_AROUND = ("data", "FullStudiesResponse", "StudyFieldsResponse", "response", "result", "results")


class BrokenJSON(ValueError):
    """The text stops being JSON."""


def jsonl_chunks(text: TextIO, label: str) -> Iterator[Chunk]:
    """One chunk per line; blank lines are skipped, a broken line is a bad row."""
    pieces = lines(text)
    for number, line in enumerate(pieces, start=1):
        if len(line) >= LONGEST_LINE:
            while line and not line.endswith("\n"):
                line = next(pieces, "")  # noqa: PLW2901
            yield _too_long(label, number)
        elif not line.isspace():
            yield Chunk(label, number, _line_rows, line, len(line))


def jsonl_blocks(
    handle: "io.BufferedReader[io.RawIOBase]", label: str, path: Path | None = None
) -> Iterator[Chunk]:
    """`jsonl_chunks` of UTF-8, many lines per chunk, so that the parsing process also decodes them.

    `path` is that of the file if the handle returns its raw bytes.
    """

    def chunk(block: bytes, end: int) -> Chunk:
        content = FileBlock(path, end - len(block), len(block), block) if path else block
        return Chunk(label, number, _block_rows, content, len(block))

    number, rest = 1, handle.read(len(codecs.BOM_UTF8))
    taken = len(rest)  # bytes of the file
    rest = rest.removeprefix(codecs.BOM_UTF8)
    # The readable part of a truncated file comes before the error.
    while content := handle.read1(_CHUNK):
        taken += len(content)
        end = content.rfind(b"\n") + 1
        if not end:
            rest += content
            if len(rest) >= LONGEST_LINE:
                yield _too_long(label, number)
                skipped, rest = _skipped_line(handle)
                taken += skipped
                number += 1
            continue
        block, rest = rest + content[:end], content[end:]
        yield chunk(block, taken - len(rest))
        number += _line_ends(block)
    if rest:
        yield chunk(rest, taken)


def _skipped_line(handle: "io.BufferedReader[io.RawIOBase]") -> tuple[int, bytes]:
    """How many bytes were read, and those after the end of the line."""
    taken = 0
    while content := handle.read(_CHUNK):
        taken += len(content)
        if b"\n" in content:
            return taken, content.partition(b"\n")[2]
    return taken, b""


def _line_ends(block: bytes) -> int:
    ends = block.count(b"\n")
    return ends if b"\r" not in block else ends + block.count(b"\r") - block.count(b"\r\n")


def _split(block: bytes) -> list[bytes]:
    return block.split(b"\n") if b"\r" not in block else _LINE_END.split(block)


def _too_long(label: str, number: int) -> Chunk:
    return ready(bad_row(label, number, f"line too long: over {LONGEST_LINE:,} characters", {}))


def _block_rows(label: str, number: int, block: bytes | FileBlock) -> Iterator[Row]:
    for at, line in enumerate(_split(bytes(block)), start=number):
        if not line or line.isspace():
            continue
        try:
            value = orjson.loads(line)
        except ValueError:
            # It rejects what Python accepts: control characters in strings, NaN, lone surrogates.
            yield from _line_rows(label, at, line.decode("utf-8", "surrogateescape"))
        else:
            yield value_row(label, at, value)


def _line_rows(label: str, number: int, line: str) -> Iterator[Row]:
    if reason := undecodable(line):
        yield bad_row(label, number, reason, {"line": line.strip()})
        return
    try:
        value = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        yield bad_row(label, number, f"broken JSON: {error}", {"line": line.strip()})
    else:
        yield value_row(label, number, value)


def document_rows(label: str, _number: int, content: bytes) -> Iterator[Row]:
    """`json_rows` of a small UTF-8 file, one of many."""
    with text_reader(io.BytesIO(content), label, "utf-8") as text:
        yield from json_rows(text, label, alone=False)


def json_rows(text: TextIO, label: str, *, alone: bool) -> Iterator[Row]:
    """One row per study of a JSON document: one study, a list of them, {"studies": [...]}, {"NCT...": study}.

    A broken file raises DataError; when it holds one study among many files (not `alone`) it is a bad row.
    """
    reader = _JSONReader(text)
    number = 0
    try:
        for number, (value, reason) in enumerate(reader.studies(), start=1):
            if reason:
                yield bad_row(label, number, reason, {"value": value})
            else:
                yield value_row(label, number, value)
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnicodeError):
            raise
        if not alone and not reader.is_collection:
            yield bad_row(label, number + 1, f"broken JSON: {error}", {})
            return
        raise DataError(
            f"{label}: broken JSON after study {number} ({error}); download the file again, or fix it there"
        ) from error


class _JSONReader:
    """Reads JSON values one by one from a stream, holding only the current value.

    ijson is about as fast, but rejects what such files contain: control characters in strings, NaN, one
    document after another; and it needs the path of the list of studies.
    """

    def __init__(self, text: TextIO) -> None:
        self.text = text
        self.buffer = ""
        self.at = 0
        self.ended = False
        self.is_collection = False

    def studies(self) -> Iterator[tuple[object, str | None]]:
        """Each study with the reason why it could not be decoded, if it could not."""
        if not self._next():
            raise BrokenJSON("the file is empty")
        # Several documents may follow each other: JSON Lines are often named .json.
        while first := self._next():
            if first == "[":
                self.is_collection = True
                yield from self._items()
            elif first == "{":
                yield from self._object()
            else:
                raise BrokenJSON(f"a study or a list of studies should begin here, not {first!r}")

    def _object(self) -> Iterator[tuple[object, str | None]]:
        members: dict[str, object] = {}
        reasons: list[str] = []
        has_studies = False
        self._take("{")
        while self._next() != "}":
            if members or has_studies:
                self._take(",")
            key, _ = self._value()
            self._take(":")
            if key in _STUDIES and self._next() == "[":
                self.is_collection = has_studies = True
                yield from self._items()
            elif (key in _AROUND and self._next() == "{") or is_nct_id(key):
                self.is_collection = has_studies = True
                yield from self._object() if key in _AROUND else self._named(str(key))
            else:
                members[str(key)], reason = self._value()
                reasons += [reason] if reason else []
        self._take("}")
        if not has_studies:
            yield members, reasons[0] if reasons else None

    def _named(self, nct_id: str) -> Iterator[tuple[object, str | None]]:
        """A study under its id, which a flat one may not repeat."""
        value, reason = self._value()
        if isinstance(value, dict) and study_of(value) is None and "nct_id" not in columns_of(tuple(value)):
            value = {"nct_id": nct_id, **value}
        yield value, reason

    def _items(self) -> Iterator[tuple[object, str | None]]:
        self._take("[")
        first = True
        while self._next() != "]":
            if not first:
                self._take(",")
            yield self._value()
            first = False
        self._take("]")

    def _value(self) -> tuple[object, str | None]:
        self._next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.buffer, self.at)
                # A number may continue in the next chunk.
                if end < len(self.buffer) or self.ended:
                    reason = undecodable(self.buffer[self.at : end])
                    self.at = end
                    return value, reason
            except json.JSONDecodeError as error:
                left = len(self.buffer) - self.at
                cut = error.pos >= len(self.buffer) - _CUT_TOKEN or error.msg.startswith("Unterminated")
                if self.ended or not cut or left > LONGEST_LINE:
                    raise BrokenJSON(
                        error.msg if not self.ended else f"{error.msg}; the file ends"
                    ) from error
            self._more()

    def _next(self) -> str:
        """The next character that is not blank, not consumed; "" at the end."""
        while True:
            blank = _BLANK.match(self.buffer, self.at)
            self.at = blank.end() if blank else self.at
            if self.at < len(self.buffer):
                return self.buffer[self.at]
            if self.ended:
                return ""
            self._more()

    def _take(self, character: str) -> None:
        found = self._next()
        if found != character:
            raise BrokenJSON(
                f"expected {character!r}, found {repr(found) if found else 'the end of the file'}"
            )
        self.at += 1

    def _more(self) -> None:
        # Reading as much as is buffered makes the reading of one long value linear.
        held = self.buffer[self.at :]
        chunk = self.text.read(max(_CHUNK, len(held)))
        self.buffer, self.at, self.ended = held + chunk, 0, not chunk
