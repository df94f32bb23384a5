"""AACT's files have "~" for the line breaks of a text: distinguishes them from literal tildes.

AACT's exporter (ctti-clinicaltrials/aact, app/models/util/table_exporter.rb) writes every line break inside
a cell as "~", and deletes doubled quotes. The API v2 escapes a tilde in its marked-up texts as "\\~"; in
files made from its records a bare one is therefore a line break. Older files are ambiguous: there a
tilde between two numbers ("14~16") stays.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trialtune.registry.record.schema import Record

# Titles and measures are not marked-up text: there a tilde is literal.
MARKED_UP = ("brief_summary", "detailed_description", "eligibility_criteria", "why_stopped")

_ESCAPED_OR_BARE = re.compile(r"\\.|~")
_OF_EITHER_KIND = re.compile(r"\\~|(?<=\d)( ?)~ ?(?=\d)|~")
# Enumerated values before and since the API v2.
_NEW_ANSWER = re.compile(r"(?:(?:EARLY_)?PHASE\d/?)+|[A-Z]+(?:_[A-Z]+)*")
_ANSWERS = ("phase", "overall_status", "study_type", "gender")


@dataclass(frozen=True)
class Tildes:
    """How to read the tildes of a file: `escaped` where a literal one is "\\~"."""

    escaped: bool

    @classmethod
    def of(cls, studies_row: Mapping[str, Any]) -> "Tildes":
        """The era of a row of AACT's `studies`: RECRUITING is from the API v2, "Recruiting" from before."""
        said = (studies_row.get(name) for name in _ANSWERS)
        first = next((text for text in said if isinstance(text, str) and len(text) > 2), "")
        return cls(escaped=_NEW_ANSWER.fullmatch(first) is not None)

    def broken(self, text: str | None) -> str | None:
        """The text with its line breaks; one that already has some did not pass through the exporter."""
        if text is None or "~" not in text or "\n" in text:
            return text
        if self.escaped:
            return _ESCAPED_OR_BARE.sub(_break, text)
        return _OF_EITHER_KIND.sub(_break, text)


def _break(match: re.Match[str]) -> str:
    return "\n" if match[0] == "~" and not match.lastindex else match[0]


def with_breaks(record: Record, tildes: Tildes) -> None:
    """Restore the line breaks in a record's marked-up texts."""
    for name in MARKED_UP:
        if record[name]:
            record[name] = (tildes.broken(record[name]) or "").strip() or None
