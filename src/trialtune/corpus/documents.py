"""A trial's free text as one document: cleaned, with section names, without structured answers."""

import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Section name -> snapshot column, in reading order. `sex`, ages and `why_stopped` stay out:
# they are what the downstream tasks predict.
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

# All columns used in a document, and those that decide whether it is used.
COLUMNS = ("nct_id", "text", "overall_status", *(column for _, column in SECTIONS))
SECTION_NAMES = tuple(name for name, _ in SECTIONS)
NO_SECTION = -1  # of a ready-made text, and of special tokens

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\u200b]")
_MARKDOWN_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!<>~|&\"'^=])")
_SPREADSHEET_RETURN = re.compile(r"_x000D_", re.IGNORECASE)
_BULLET = re.compile(r"(?:[-*•·o▪–]\s|\(?\d{1,2}[.)]\s|\(?[a-zA-Z][.)]\s|\(?[ivx]{1,4}[.)]\s)")
_BLANKS = re.compile(r"[ \t\xa0]+")
_EMPTY_LINES = re.compile(r"\n{3,}")

# Hard-wrapped registry text breaks at 70-100 characters; longer lines are real paragraphs.
_WIDEST_WRAP = 110
_NARROWEST_WRAP = 50
# Wrapped lines have lost their indentation, so their common width is known only approximately.
_INDENT_SLACK = 12


def clean(text: str) -> str:
    """Repair one field's text without losing any of its words, numbers or punctuation.

    HTML entities and the API's markdown escapes are undone, control characters dropped,
    hard-wrapped lines joined, blanks collapsed; brackets, `%`, `@`, `≥` stay as they are.
    """
    # Most text needs none of this, and testing is several times cheaper than substituting.
    text = html.unescape(text)
    if "_" in text:
        text = _SPREADSHEET_RETURN.sub("\n", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = [_clean_line(line) for line in text.split("\n")]
    return _EMPTY_LINES.sub("\n\n", "\n".join(unwrap(lines))).strip()


def _clean_line(line: str) -> str:
    plain = line.isprintable()  # no control character, and no blank but the space
    if not plain:
        line = _CONTROL.sub("", line)
    if "\\" in line:
        line = _MARKDOWN_ESCAPE.sub(r"\1", line)
    if not plain or "  " in line:
        line = _BLANKS.sub(" ", line)
    return line.strip()


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
        overran = previous + 1 + len(line.split(" ", 1)[0]) > width - _INDENT_SLACK
        if overran and line and joined and joined[-1] and not _BULLET.match(line):
            joined[-1] += " " + line
        else:
            joined.append(line)
        previous = len(line)
    return joined


# Placeholder for the texts of a device trial until the device is approved or cleared (42 CFR 11.35).
_PLACEHOLDER = re.compile(r"\[(?:Redacted|Trial of [^\]]*not approved or cleared[^\]]*)\]", re.IGNORECASE)


def is_withheld(record: Mapping[str, Any]) -> bool:
    """Whether the registry withholds a trial: its texts are placeholders."""
    titles = (record.get("brief_title"), record.get("official_title"))
    return record.get("overall_status") == "WITHHELD" or any(
        _PLACEHOLDER.fullmatch(title.strip()) for title in titles if title
    )


@dataclass(frozen=True)
class Document:
    """A trial's text and where its sections begin; empty when the trial has no text."""

    nct_id: str
    text: str
    sections: tuple[tuple[int, int], ...] = ()  # (first character, index into SECTION_NAMES), ascending


def compose(record: Mapping[str, Any]) -> Document:
    """The document of a snapshot row: `Section: text` paragraphs.

    A row with a ready-made `text` keeps it, cleaned.
    """
    nct_id = record["nct_id"]
    if record.get("text"):
        return Document(nct_id, clean(record["text"]))
    text, sections = "", []
    for index, (name, column) in enumerate(SECTIONS):
        value = record.get(column)
        if not value:
            continue
        cleaned = "; ".join(clean(item) for item in value) if isinstance(value, list) else clean(value)
        if cleaned:
            text += "\n\n" if text else ""
            sections.append((len(text), index))
            text += f"{name}: {cleaned}"
    return Document(nct_id, text, tuple(sections))
