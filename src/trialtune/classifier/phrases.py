"""Divides a text into phrases: clauses of a short text, sentences of a long one."""

import re
from collections.abc import Iterator
from itertools import chain, islice, pairwise

Place = tuple[int, int]  # characters, the end exclusive

_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_LONG = 40  # words; a longer text is divided into sentences, and a longer sentence into clauses

_ABBREVIATION = "".join(rf"(?<!\b{name})" for name in (r"e\.g", r"i\.e", "vs", "Dr", "approx", "incl"))
_BETWEEN_SENTENCES = re.compile(
    rf"{_ABBREVIATION}(?<![.!?;])[.!?;]++[\"'”’)\]]*+(?=\s|$)|(?-i:(?<=[a-z]{{2}})\.(?=[A-Z][a-z])|~(?=[A-Z]))|\n"
    r"|(?:^|(?<=\s))[*•▪·]+(?=\s)"
)
# Stays with the clause that it introduces.
_OPENING = (
    r"due to|owing to|because|caused by|in view of|given that|as a (?:result|consequence)"
    r"|resulting in|leading (?:in)?to|which|therefore|thus|hence|so that|but|however|although"
    r"|though|while|whereas|since|until|after|before|prior to|following|despite|without|instead of"
    r"|rather than|nor"
    r"|as (?:the|there|an?|it|this|that|these|we|our|no|he|she|they|PI|investigators?|sponsor|funding|study)"
)
_JOINTS = "and/or|and|or|as well as|along with|plus"
# The "(DMC)" of "Data Monitoring Committee (DMC) review" is not a boundary.
_NO_ACRONYM = "".join(rf"(?<!\(\w{{{length}}})" for length in range(1, 8))
_BETWEEN_CLAUSES = re.compile(
    rf"{_BETWEEN_SENTENCES.pattern}|,\s++(?:{_JOINTS})(?=\s)|,(?!\s?\d)|[–—…\[\]]"
    rf"|(?:^|(?<=\s))\((?!\w{{1,7}}\))|{_NO_ACRONYM}\)(?=\W|$)"
    r"|(?:^|(?<=\s))(?:[-/+&=]+|-+>)(?=\s)"
    rf"|(?<=\s)(?<!\bnot\s)(?<!\bonly\s)(?<!n't\s)(?<!\bor\s)(?=(?:{_OPENING})\b)",
    re.IGNORECASE,
)
# A boundary where each side has more than a word: not "low or no accrual", not "Exclusion: pregnancy".
_JOINING = re.compile(
    rf"(?<=\s)(?<!\bdata\s)(?<!\bsafety\s)(?<!\bprimary\s)(?<!\bresearch\s)(?:{_JOINTS})(?=\s)|:(?=\s)",
    re.IGNORECASE,
)


def phrases(text: str) -> list[Place]:
    """The spans of the phrases of `text`, in order, not overlapping, each with a word in it.

    Together they cover every word but those that join clauses ("and", "or"). A text without any word
    has none.
    """
    whole = (0, len(text))
    if _words(text, whole) <= _LONG:
        return _clauses(text, whole)
    sentences = _between(text, whole, _BETWEEN_SENTENCES)
    parts = (_clauses(text, one) if _words(text, one) > _LONG else [one] for one in sentences)
    return [*chain.from_iterable(parts)]


def _clauses(text: str, place: Place) -> list[Place]:
    clauses = _between(text, place, _BETWEEN_CLAUSES)
    return [part for clause in clauses for part in _unjoined(text, clause)]


def _between(text: str, place: Place, divider: re.Pattern[str]) -> list[Place]:
    """The parts of a span between boundaries, those with a word in them."""
    gaps = [(place[0],) * 2, *(match.span() for match in divider.finditer(text, *place)), (place[1],) * 2]
    parts = (_trimmed(text, before, after) for (_, before), (after, _) in pairwise(gaps))
    return [part for part in parts if _WORD.search(text, *part)]


def _unjoined(text: str, place: Place) -> Iterator[Place]:
    start, end = place
    joints = [match.span() for match in _JOINING.finditer(text, start, end)]
    for (before, after), (following, _) in pairwise([*joints, (end, end)]):
        if _several(text, start, before) and _several(text, after, following):
            yield _trimmed(text, start, before)
            start = after
    yield _trimmed(text, start, end)


def _trimmed(text: str, start: int, end: int) -> Place:
    bare = text[start:end].rstrip(" \t\n\r.,;:!?-–/")
    return end - len(text[start:end]) + len(bare) - len(bare.lstrip(" \t\n\r,;:")), start + len(bare)


def _several(text: str, start: int, end: int) -> bool:
    return len([*islice(_WORD.finditer(text, start, end), 2)]) > 1


def _words(text: str, place: Place) -> int:
    return sum(1 for _ in _WORD.finditer(text, *place))
