"""What makes a record unusable: no NCT id, no text, an unknown sex, too long or undecodable text."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from trialtune.registry.record import normalize
from trialtune.registry.record.schema import TEXT_FIELDS

MAX_FIELD_CHARACTERS = 1_000_000

SEXES = ("ALL", "MALE", "FEMALE")

_NCT_ID = re.compile(r"NCT\d{8}", re.ASCII)


def nct_id_of(value: object) -> str | None:
    """The id without blanks, in capitals; the validator says whether it is one."""
    text = normalize.short_text_of(value)
    return text.upper() if text else None


def is_nct_id(value: object) -> bool:
    """Whether the value, blanks and case aside, is NCT and eight digits."""
    return isinstance(value, str) and _NCT_ID.fullmatch(value.strip().upper()) is not None


def problems(record: Mapping[str, Any]) -> list[str]:
    """Why the record cannot be used, each as "kind: detail"; empty for a good record."""
    found = []
    nct_id = record["nct_id"]
    if nct_id is None:
        found.append("no NCT id")
    elif not is_nct_id(nct_id):
        found.append(f"bad NCT id: {shown(nct_id)} (expected NCT and eight digits)")
    if not any(record[field] for field in TEXT_FIELDS):
        found.append("no text: every text field is empty")
    sex = record["sex"]
    if sex is not None and sex not in SEXES:
        found.append(f"unknown sex: {shown(sex)} (expected All, Male, Female or nothing)")
    whole = "\n".join(_flat(record.values()))
    if len(whole) > MAX_FIELD_CHARACTERS:
        found += _too_long(record)
    try:
        whole.encode()
    except UnicodeEncodeError:
        found += _undecodable(record)
    return found


def shown(value: str) -> str:
    """A value for a message: quoted, and cut when it is long."""
    return repr(value if len(value) <= 40 else value[:40] + "…")


def _too_long(record: Mapping[str, Any]) -> list[str]:
    sizes = {field: sum(map(len, _flat([value]))) for field, value in record.items()}
    return [
        f"field too long: {field} has {size:,} characters (at most {MAX_FIELD_CHARACTERS:,})"
        for field, size in sizes.items()
        if size > MAX_FIELD_CHARACTERS
    ]


def _undecodable(record: Mapping[str, Any]) -> list[str]:
    halves = {
        field: re.search("[\ud800-\udfff]", "\n".join(_flat([value]))) for field, value in record.items()
    }
    return [
        f"undecodable text: {field} holds U+{ord(half[0]):04X}, half a character or a byte that is not UTF-8"
        for field, half in halves.items()
        if half
    ]


def _flat(cells: Iterable[object]) -> Iterable[str]:
    for cell in cells:
        if isinstance(cell, str):
            yield cell
        elif isinstance(cell, list):
            yield from cell
