"""AACT's files have "~" for the line breaks of a text: telling them from tildes that were written.

AACT's exporter (ctti-clinicaltrials/aact, app/models/util/table_exporter.rb) writes every line break inside
a cell as "~", and deletes doubled quotes. The API v2 escapes a tilde in its marked-up texts as "\\~"; in
files made of its records a bare one is therefore a line break. Files from before cannot tell: there a
tilde between two numbers ("14~16") stays.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trialtune.registry.record.schema import Record

# Titles and measures are no marked-up text: there a tilde is one.
MARKED_UP = ("brief_summary", "detailed_description", "eligibility_criteria", "why_stopped")

_ESCAPED_OR_BARE = re.compile(r"\\.|~")
_OF_EITHER_KIND = re.compile(r"\\~|(?<=\d)( ?)~ ?(?=\d)|~")
# How the two eras of the registry write their closed answers.
_NEW_ANSWER = re.compile(r"(?:(?:EARLY_)?PHASE\d/?)+|[A-Z]+(?:_[A-Z]+)*")
_ANSWERS = ("phase", "overall_status", "study_type", "gender")


@dataclass(frozen=True)
class Tildes:
    """How to read the tildes of a file: `escaped` where a written one is "\\~"."""

    escaped: bool

    @classmethod
    def of(cls, studies_row: Mapping[str, Any]) -> "Tildes":
        """What a row of AACT's `studies` says: RECRUITING is of the API v2, "Recruiting" from before."""
        said = (studies_row.get(name) for name in _ANSWERS)
        first = next((text for text in said if isinstance(text, str) and len(text) > 2), "")
        return cls(escaped=_NEW_ANSWER.fullmatch(first) is not None)

    def broken(self, text: str | None) -> str | None:
        """The text with its line breaks; one that has line breaks of its own did not pass the exporter."""
        if text is None or "~" not in text or "\n" in text:
            return text
        if self.escaped:
            return _ESCAPED_OR_BARE.sub(_break, text)
        return _OF_EITHER_KIND.sub(_break, text)


def _break(match: re.Match[str]) -> str:
    return "\n" if match[0] == "~" and not match.lastindex else match[0]


def with_breaks(record: Record, tildes: Tildes) -> None:
    """Put the line breaks into a record's marked-up texts."""
    for name in MARKED_UP:
        if record[name]:
            record[name] = (tildes.broken(record[name]) or "").strip() or None
