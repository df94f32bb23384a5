"""Checks that a record is usable: NCT id, text, sex, lengths, encoding."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from trialtune.registry.record.schema import (
    BOOLEAN_COLUMNS,
    COLUMNS,
    CONTENT_FIELDS,
    TEXT_FIELDS,
    Record,
    content_of,
    hash_of,
)
from trialtune.registry.record.text import text_of

MAX_FIELD_CHARACTERS = 1_000_000

SEXES = ("ALL", "MALE", "FEMALE")

# Registers in WHO's ICTRP: https://www.who.int/tools/clinical-trials-registry-platform
_OTHER_REGISTRIES = tuple(
    (registry, re.compile(form))
    for registry, form in (
        ("ISRCTN", r"ISRCTN\s*\d"),
        ("DRKS (Germany)", r"DRKS\s*\d"),
        ("CTIS (EU)", r"(?:CTIS|EUCT[R ]?)?\s*20\d\d-5\d{5}-\d\d"),
        ("EudraCT (EU)", r"(?:EUCTR|EUDRACT)?\s*(?:19|20)\d\d-\d{6}-\d\d"),
        ("ANZCTR (Australia, New Zealand)", r"ACTRN\s*\d"),
        ("ChiCTR (China)", r"CHICTR"),
        ("CTRI (India)", r"CTRI/"),
        ("JPRN (Japan)", r"JPRN|JRCT|UMIN\d|JAPICCTI"),
        ("CRIS (Korea)", r"KCT\d"),
        ("IRCT (Iran)", r"IRCT\d"),
        ("ReBec (Brazil)", r"RBR-|U1111-"),
        ("LBCTR (Lebanon)", r"LBCTR"),
        ("NTR (Netherlands)", r"NTR\d|NL-OMON|NL\d{3,5}$"),
        ("PACTR (Africa)", r"PACTR"),
        ("RPCEC (Cuba)", r"RPCEC"),
        ("SLCTR (Sri Lanka)", r"SLCTR"),
        ("TCTR (Thailand)", r"TCTR"),
        ("REPEC (Peru)", r"PER-"),
    )
)
_REST = tuple(  # text that the hash does not cover
    name for name in COLUMNS if name not in {*CONTENT_FIELDS, *BOOLEAN_COLUMNS, "enrollment"}
)
NCT_ID_IN_TEXT = re.compile(r"(?<![A-Za-z0-9])NCT\d{8}(?!\d)", re.ASCII | re.IGNORECASE)
_NCT_ID = re.compile(r"NCT\d{8}", re.ASCII)


def nct_id_of(value: object) -> str | None:
    """The id without blanks, in capitals; the validator checks it."""
    text = text_of(value)
    return text.upper() if text else None


def is_nct_id(value: object) -> bool:
    """Whether the value, ignoring blanks and case, is NCT and eight digits."""
    return isinstance(value, str) and _NCT_ID.fullmatch(value.strip().upper()) is not None


def problems(record: Record) -> list[str]:
    """Why the record is unusable, each as "kind: detail"; a good record has none, and gets its hash."""
    found = []
    nct_id = record["nct_id"]
    if nct_id is None:
        found.append("no NCT id")
    elif not is_nct_id(nct_id):
        found.append(bad_id(nct_id))
    if not any(record[field] for field in TEXT_FIELDS):
        found.append("no text: every text field is empty")
    sex = record["sex"]
    if sex is not None and sex not in SEXES:
        found.append(f"unknown sex: {shown(sex)} (expected All, Male, Female or nothing)")
    content = content_of(record)
    rest = content_of(record, _REST)
    if len(content) + len(rest) > MAX_FIELD_CHARACTERS:
        found += _too_long(record)
    try:
        rest.encode()
        record["row_hash"] = hash_of(content)
    except UnicodeEncodeError:
        found += _undecodable(record)
    return found


def bad_id(value: str) -> str:
    """Why a value is not an NCT id: it is another registry's id, or no id."""
    text = value.strip().upper()
    for registry, form in _OTHER_REGISTRIES:
        if form.match(text):
            return f"an id of {registry}, not of ClinicalTrials.gov: {shown(value)}"
    return f"bad NCT id: {shown(value)} (expected NCT and eight digits)"


def shown(value: str) -> str:
    """A value for a message: quoted, and shortened when it is long."""
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
        f"undecodable text: {field} holds U+{ord(half[0]):04X}, a lone surrogate or a byte that is not UTF-8"
        for field, half in halves.items()
        if half
    ]


def _flat(cells: Iterable[object]) -> Iterable[str]:
    for cell in cells:
        if isinstance(cell, str):
            yield cell
        elif isinstance(cell, list):
            yield from cell
