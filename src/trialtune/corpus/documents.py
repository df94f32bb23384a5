"""A trial's free text as one document: cleaned, with section names, without structured answers."""

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

# Section name -> snapshot column, in reading order. `sex`, ages and `why_stopped` stay out:
# they are what the downstream tasks ask for.
SECTIONS = (
    ("Title", "brief_title"),
    ("Official title", "official_title"),
    ("Summary", "brief_summary"),
    ("Description", "detailed_description"),
    ("Conditions", "conditions"),
    ("Keywords", "keywords"),
    ("Interventions", "interventions"),
    ("Arms", "arms"),
    ("Primary outcomes", "primary_outcomes"),
    ("Secondary outcomes", "secondary_outcomes"),
    ("Eligibility", "eligibility_criteria"),
)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\u200b]")
_MARKDOWN_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!<>~|&\"'^=])")
_SPREADSHEET_RETURN = re.compile(r"_x000D_", re.IGNORECASE)
_BULLET = re.compile(r"(?:[-*•·o▪–]\s|\(?\d{1,2}[.)]\s|\(?[a-zA-Z][.)]\s|\(?[ivx]{1,4}[.)]\s)")
_BLANKS = re.compile(r"[ \t\xa0]+")
_EMPTY_LINES = re.compile(r"\n{3,}")

# Hard-wrapped registry text breaks at 70-100 characters; longer lines are real paragraphs.
_WIDEST_WRAP = 110
_NARROWEST_WRAP = 50
# Wrapped lines lost their indentation on the way here, so their common width is only nearly known.
_INDENT_SLACK = 12


def clean(text: str) -> str:
    """Repair one field's text without losing any of its words, numbers or punctuation.

    HTML entities and the API's markdown escapes are undone, control characters dropped,
    hard-wrapped lines joined, blanks collapsed; brackets, `%`, `@`, `≥` stay as they are.
    """
    text = _SPREADSHEET_RETURN.sub("\n", html.unescape(text))
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    text = _MARKDOWN_ESCAPE.sub(r"\1", _CONTROL.sub("", text))
    lines = [_BLANKS.sub(" ", line).strip() for line in text.split("\n")]
    return _EMPTY_LINES.sub("\n\n", "\n".join(unwrap(lines))).strip()


def unwrap(lines: list[str]) -> list[str]:
    """Join lines that a fixed-width writer broke.

    Such a writer breaks a line only where the next word would not fit, so two lines are joined
    when the first word of the second would have overrun the width of the widest line.
    """
    width = max(map(len, lines), default=0)
    if not _NARROWEST_WRAP <= width <= _WIDEST_WRAP:
        return lines
    joined: list[str] = []
    previous = 0  # length of the last source line, which is what the writer measured
    for line in lines:
        first_word = line.split(" ", 1)[0]
        overran = previous + 1 + len(first_word) > width - _INDENT_SLACK
        if joined and joined[-1] and line and overran and not _BULLET.match(line):
            joined[-1] += " " + line
        else:
            joined.append(line)
        previous = len(line)
    return joined


def compose(record: Mapping[str, Any]) -> str:
    """One document of a snapshot row: `Section: text` paragraphs; empty when the row has no text.

    A row that came with a ready-made `text` is used as it came, cleaned.
    """
    if record.get("text"):
        return clean(record["text"])
    paragraphs = []
    for name, column in SECTIONS:
        value = record.get(column)
        if not value:
            continue
        text = "; ".join(clean(item) for item in value) if isinstance(value, list) else clean(value)
        if text:
            paragraphs.append(f"{name}: {text}")
    return "\n\n".join(paragraphs)


def documents(records: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    """Yield (nct_id, document) of each record, empty documents included."""
    for record in records:
        yield record["nct_id"], compose(record)
