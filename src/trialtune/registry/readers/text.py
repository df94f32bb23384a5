"""Opens text whose encoding may differ from the one given, and reads it piece by piece."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TextIO, cast

from trialtune.errors import DataError, UsageError

#: A line longer than this is not a study; reading it whole could fill the memory.
LONGEST_LINE = 1 << 28

_HEAD_BYTES = 4096
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def text_reader(handle: IO[bytes], label: str, encoding: str) -> Iterator[TextIO]:
    """Text of a byte stream; bytes that do not decode become lone surrogates, to be found row by row.

    Raises as `marked` does.
    """
    buffered, codec = marked(handle, label, encoding)
    codec = "utf-8-sig" if codec == "utf-8" else codec
    with io.TextIOWrapper(buffered, codec, errors="surrogateescape", newline="") as text:
        yield text


def marked(handle: IO[bytes], label: str, encoding: str) -> tuple["io.BufferedReader[io.RawIOBase]", str]:
    """The bytes, from their beginning, and their encoding: instead of UTF-8 that of a byte-order mark.

    Raises UsageError for an unknown encoding, DataError for UTF-16 without a mark.
    """
    try:
        codec = codecs.lookup(encoding).name
    except LookupError as error:
        raise UsageError(f"--encoding {encoding}: no such encoding; try utf-8, utf-16 or cp1252") from error
    buffered = io.BufferedReader(cast(io.RawIOBase, handle), 1 << 16)
    if codec == "utf-8":
        codec = _marked_encoding(buffered.peek(_HEAD_BYTES)[:_HEAD_BYTES], label) or codec
    return buffered, codec


def is_utf8(encoding: str) -> bool:
    """Whether this is a name of UTF-8."""
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


def lines(text: TextIO) -> Iterator[str]:
    """Lines, split into pieces of at most `LONGEST_LINE`."""
    return iter(lambda: text.readline(LONGEST_LINE), "")


def undecodable(text: str) -> str | None:
    """Why a piece of text could not be decoded; None when it could."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte = ord(text[error.start]) - 0xDC00
        return (
            f"undecodable bytes: byte 0x{byte & 0xFF:02x} at character {error.start + 1} of the row;"
            " if the whole file has another encoding, set it with --encoding (such as cp1252)"
        )
    return None


def encoding_of_mark(head: bytes) -> str | None:
    """The encoding that a byte-order mark at the beginning names, other than UTF-8."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def _marked_encoding(head: bytes, label: str) -> str | None:
    if name := encoding_of_mark(head):
        return name
    if len(head) >= 4 and head.count(0) > len(head) // 4:
        name = "utf-16-be" if head[0] == 0 else "utf-16-le"
        raise DataError(
            f"{label}: the file looks like UTF-16, not UTF-8; save it as UTF-8, or import it with"
            f" --encoding {name}"
        )
    return None
