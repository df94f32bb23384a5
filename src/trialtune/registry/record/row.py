"""One row of a source: a usable record, or the reason why it is not one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trialtune.registry.record.parse import record_from_row, record_from_study
from trialtune.registry.record.schema import Record
from trialtune.registry.record.validate import problems

_RAW_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """A trial as read: `record` when it is usable, else `reason` ("kind: detail; ...") and `raw` fields."""

    file: str
    number: int
    record: Record | None
    reason: str | None = None
    raw: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str | None:
        """The kind of the first reason, for counting; None for a usable row."""
        return None if self.reason is None else self.reason.partition("; ")[0].partition(":")[0]


def bad_row(file: str, number: int, reason: str, raw: Mapping[str, Any]) -> Row:
    """A row that cannot be used; long fields are cut and say how long they were."""
    return Row(file, number, None, reason, cut_fields(raw))


def record_row(file: str, number: int, record: Record) -> Row:
    """The record's row, good or bad by the record's own problems."""
    reasons = problems(record)
    if reasons:
        return bad_row(file, number, "; ".join(reasons), record)
    return Row(file, number, record)


def value_row(file: str, number: int, value: object) -> Row:
    """Row of one JSON value: an API v2 study, or a flat object of named columns."""
    if not isinstance(value, dict):
        return bad_row(file, number, f"not a study: a JSON {type(value).__name__}", {"value": value})
    build = record_from_study if "protocolSection" in value else record_from_row
    return record_row(file, number, build(value))


def cut_fields(raw: Mapping[str, Any]) -> dict[str, str]:
    """The fields that hold something, as text of at most 2,000 characters each."""
    texts = {name: _text(value) for name, value in raw.items() if value not in (None, "", [])}
    return {name: _cut(text) for name, text in texts.items()}


def _text(value: object) -> str:
    return " | ".join(value) if isinstance(value, list) and _all_text(value) else str(value)


def _all_text(items: list[object]) -> bool:
    return all(isinstance(item, str) for item in items)


def _cut(text: str) -> str:
    shown = text[:_RAW_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    return shown if len(text) <= _RAW_CHARACTERS else f"{shown}… [{len(text):,} characters in all]"
