"""One row of a source: a usable record, or the reason why it is not usable."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trialtune.registry.record.notes import Notes, shown
from trialtune.registry.record.parse import record_from_row, record_from_study
from trialtune.registry.record.schema import Record
from trialtune.registry.record.validate import is_nct_id, problems

_RAW_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """A trial as read: `record` when it is usable, else `reason` ("kind: detail; ...") and `raw` fields."""

    file: str
    number: int
    record: Record | None
    reason: str | None = None
    raw: Mapping[str, str] = field(default_factory=dict)
    notes: Notes | None = None

    @property
    def kind(self) -> str | None:
        """The kind of the first reason, for counting; None for a usable row."""
        return None if self.reason is None else self.reason.partition("; ")[0].partition(":")[0]


def bad_row(file: str, number: int, reason: str, raw: Mapping[str, Any]) -> Row:
    """A row that cannot be used; long fields are truncated, with their length."""
    return Row(file, number, None, reason, cut_fields(raw))


def record_row(file: str, number: int, record: Record, notes: Notes | None = None) -> Row:
    """The record's row, good or bad by the record's own problems."""
    reasons = problems(record)
    if reasons:
        return bad_row(file, number, "; ".join(reasons), record)
    return Row(file, number, record, notes=notes)


def value_row(file: str, number: int, value: object) -> Row:
    """Row of one JSON value: an API v2 study in any form, or a flat object of named columns."""
    value = _unwrapped(value)
    if is_nct_id(value):
        reason = "not a study: an NCT id alone; registry sync --ids takes lists of ids"
        return bad_row(file, number, reason, {"value": value})
    if not isinstance(value, dict):
        return bad_row(file, number, f"not a study: a JSON {type(value).__name__}", {"value": value})
    notes = Notes()
    is_study = isinstance(value.get("protocolSection"), dict)
    record = record_from_study(value, notes) if is_study else record_from_row(value, notes)
    row = record_row(file, number, record, notes)
    if row.kind != "no NCT id":
        return row
    # Its keys show what it is instead of a study.
    if is_study:
        return bad_row(file, number, row.reason or "", {**record, "study": value})
    named = ", ".join(map(shown, list(value)[:8]))
    return bad_row(file, number, f"no NCT id: an object of {named or 'nothing'}", value)


def _unwrapped(value: object) -> object:
    """The content of {"study": ...} or {"Rank": 1, "Study": ...}."""
    for name in ("study", "Study"):
        if (
            isinstance(value, dict)
            and isinstance(value.get(name), dict)
            and not is_nct_id(value.get("nct_id"))
        ):
            return value[name]
    return value


def cut_fields(raw: Mapping[str, Any]) -> dict[str, str]:
    """The non-empty fields, as text of at most 2,000 characters each."""
    texts = {name: _text(value) for name, value in raw.items() if value not in (None, "", [])}
    return {name: _cut(text) for name, text in texts.items()}


def _text(value: object) -> str:
    if isinstance(value, list) and _all_text(value):
        return " | ".join(value)
    try:
        return json.dumps(value, default=str) if isinstance(value, dict) else str(value)
    except RecursionError:
        return "nested too deeply to be shown"


def _all_text(items: list[object]) -> bool:
    return all(isinstance(item, str) for item in items)


def _cut(text: str) -> str:
    shown = text[:_RAW_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    return shown if len(text) <= _RAW_CHARACTERS else f"{shown}… [{len(text):,} characters in all]"
