"""Lists printed into a cell by programs: Python, NumPy, pandas, JSON, PostgreSQL, DuckDB, R.

No parser on PyPI reads this mixture: `json` and `ast.literal_eval` stop at nan, `array(...)`, bare words.
"""

import json
import re
from typing import Any

_LONGEST = 1_000_000
_DEEPEST = 4
_WRAPPED = re.compile(r"(?:array|list|c)\((.*?)(?:,\s*dtype=[^,()]+)?\)", re.DOTALL)
_BARE = re.compile(r"[^,\[\](){}]*")
_MISSING = {"nan", "none", "null", "na", "<na>", "nat"}
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "", "f": " "}
_CODES = {"x": 2, "u": 4, "U": 8}  # digits of a character's number
_HEX = re.compile(r"[0-9a-fA-F]+")
_CLOSES = {"[": "]", "(": ")", "{": "}"}
# An isotope in brackets is a name or the beginning of one: such a cell is not a list.
_NAME = re.compile(r"\[\d+[A-Z][a-z]?\d*\]")


class _NoList(ValueError):
    pass


def printed_list(text: str) -> list[Any] | None:
    """The items of a printed list (text, dicts, None), or None when the cell is not such a list.

    In parentheses and after `c(`, items must be quoted: "(R)-ketamine (oral)" is a name.
    """
    if not text or len(text) > _LONGEST or text[-1] not in "])}" or text[0] not in "[({alc":
        return None
    if text[0] in "[{":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return value if isinstance(value, list) else [value]
    if _NAME.fullmatch(text):
        return None
    wrapped = None
    if text[0] in "alc":
        wrapped = _WRAPPED.fullmatch(text)
        if wrapped is None:
            return None
        inner = wrapped[1].strip()
        text = f"({inner})" if text.startswith("c(") else inner
    try:
        value, end = _value(text, 0, 0)
    except (_NoList, IndexError, ValueError, OverflowError):
        return None
    if end != len(text):
        return None
    return value if isinstance(value, list) else [value]


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    if text[at] in _CLOSES:
        return _sequence(text, at, depth)
    if text[at] in "'\"":
        return _quoted(text, at)
    match = _BARE.match(text, at)
    assert match is not None
    token = match[0].strip()
    return None if token.lower() in _MISSING else token, match.end()


def _sequence(text: str, at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise _NoList
    opening, closing = text[at], _CLOSES[text[at]]
    items: list[Any] = []
    pairs: dict[str, Any] = {}
    at = _blank(text, at + 1)
    while text[at] != closing:
        if text[at] == ",":  # a trailing comma, or one of an empty item
            at = _blank(text, at + 1)
            continue
        if opening == "(" and text[at] not in "'\"[({" and not _is_missing_at(text, at):
            raise _NoList
        item, at = _value(text, at, depth + 1)
        at = _blank(text, at)
        if opening == "{" and isinstance(item, str) and (key := _key(text, item, at)):
            at = _blank(text, key[1])
            pairs[key[0]], at = _value(text, at, depth + 1)
            at = _blank(text, at)
        elif item != "":
            items.append(item)
        # NumPy prints no commas: a quote may follow a quoted item at once.
        if text[at] not in f",{closing}" and not (text[at] in "'\"" and isinstance(item, str)):
            raise _NoList
    return (pairs if pairs and not items else items), at + 1


def _key(text: str, item: str, at: int) -> tuple[str, int] | None:
    """The key of a dict and where its value begins; None where there is no colon."""
    return (item, at + 1) if text[at] == ":" else None


def _is_missing_at(text: str, at: int) -> bool:
    match = _BARE.match(text, at)
    return match is not None and match[0].strip().lower() in _MISSING


def _quoted(text: str, at: int) -> tuple[str, int]:
    quote, pieces = text[at], []
    at += 1
    while True:
        character = text[at]
        if character == "\\":
            follower = text[at + 1]
            digits = text[at + 2 : at + 2 + _CODES.get(follower, 0)]
            if _HEX.fullmatch(digits) and len(digits) == _CODES[follower]:
                pieces.append(chr(int(digits, 16)))
                at += 2 + len(digits)
            else:
                pieces.append(_ESCAPED.get(follower, follower))
                at += 2
        elif character == quote:
            if text[at + 1 : at + 2] != quote:
                return "".join(pieces), at + 1
            pieces.append(quote)
            at += 2
        else:
            pieces.append(character)
            at += 1


def _blank(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    return at
