"""Turning the ways registries write a value into one: clean text, ISO dates, enums, phases, lists."""

import ast
import math
import re
from collections.abc import Iterable
from datetime import date

# Line breaks of other kinds become "\n", so that no two words are glued; other control characters go.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85]")
_UNKNOWN = {"", "nan", "none", "null", "<na>"}

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_ISO = re.compile(r"(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2}))?)?(?:[T ].*)?")
_MONTH_FIRST = re.compile(r"([A-Za-z]{3,9})\.? +(?:(\d{1,2})(?:st|nd|rd|th)?,? +)?(\d{4})")
_DAY_FIRST = re.compile(r"(\d{1,2})[ -]([A-Za-z]{3,9})\.?[ -](\d{4})")
_DOTS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHES = re.compile(r"(\d{1,2})/(?:(\d{1,2})/)?(\d{4})")

INTERVENTION_TYPES = (
    "Behavioral",
    "Biological",
    "Combination Product",
    "Device",
    "Diagnostic Test",
    "Dietary Supplement",
    "Drug",
    "Genetic",
    "Other",
    "Procedure",
    "Radiation",
)
_TYPE_NAMES = {name.upper().replace(" ", "_"): name for name in INTERVENTION_TYPES}
_TYPE = "|".join(name.replace(" ", "[ _]") for name in INTERVENTION_TYPES)
_TYPED = re.compile(rf"({_TYPE}):\s*", re.IGNORECASE)
_NEXT_TYPED = re.compile(rf";\s*(?=(?:{_TYPE}):)", re.IGNORECASE)
# "COVID-19;Fever" is two conditions; "Kidney Transplant; Complications" and "inv(16)(p13;q22)" are one.
_TERM = re.compile(r"(?:\([^()]*\)|;(?=\s)|[^;(]+|\()+")

# NumPy prints no commas, and Python would glue the strings together.
_COMMA = re.compile(r"""['"],""")
_NUMPY_GAP = re.compile(r"""(['"])\s+(['"])""")
_LONGEST_PRINTED_LIST = 1_000_000

_PHASES = {
    "EARLYPHASE1": "EARLY_PHASE1",
    "PHASE0": "EARLY_PHASE1",
    "NA": "NA",
    "NOTAPPLICABLE": "NA",
    **{f"PHASE{n}": f"PHASE{n}" for n in range(1, 5)},
    **{f"PHASE{roman}": f"PHASE{n}" for n, roman in enumerate(("I", "II", "III", "IV"), start=1)},
}


def text_of(value: object) -> str | None:
    """Text without control characters and outer blanks; None when nothing is left.

    Numbers are written out and the items of a list joined by line breaks; any other type holds no text.
    """
    if isinstance(value, str):
        if _CONTROL.search(value):
            value = _CONTROL.sub("", _BREAK.sub("\n", value))
        return value.strip() or None
    if isinstance(value, bool | int | float):
        return None if isinstance(value, float) and math.isnan(value) else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        # One level only: a list in a list is no text, however deep it goes.
        parts = (text_of(item) for item in value if not isinstance(item, list))
        return "\n".join(part for part in parts if part) or None
    return None


def short_text_of(value: object) -> str | None:
    """`text_of` for one-word cells, where "nan", "None" and "null" mean unknown."""
    text = text_of(value)
    return None if text is None or text.lower() in _UNKNOWN else text


def iso_date(value: object) -> str | None:
    """A date as YYYY-MM-DD, YYYY-MM or YYYY, as exact as it was given; None when it is not a date.

    Reads ISO dates and times, "January 1994", "December 12, 2014", "12 Dec 2014", 31.12.2014, and
    12/31/2014 (month first, as the registry's country writes it, unless only the other order is a date).
    """
    text = short_text_of(value)
    if text is None:
        return None
    if match := _ISO.fullmatch(text):
        return _partial(*match.groups())
    if match := _MONTH_FIRST.fullmatch(text):
        month, day, year = match.groups()
        return _partial(year, _month_number(month), day)
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year = match.groups()
        return _partial(year, _month_number(month), day)
    if match := _DOTS.fullmatch(text):
        day, month, year = match.groups()
        return _partial(year, month, day)
    if match := _SLASHES.fullmatch(text):
        month, day, year = match.groups()
        if day is not None and int(month) > 12:
            month, day = day, month
        return _partial(year, month, day)
    return None


def _month_number(name: str) -> str | None:
    short = name[:3].lower()
    return str(_MONTHS.index(short) + 1) if short in _MONTHS else None


def _partial(year: str, month: str | None, day: str | None) -> str | None:
    """The longest part of year-month-day that is a date of the calendar."""
    for parts in ((year, month, day), (year, month), (year,)):
        if None in parts:
            continue
        numbers = [int(part or 0) for part in parts]
        try:
            date(*[*numbers, 1, 1][:3])
        except ValueError:
            continue
        return "-".join(f"{n:0{width}d}" for n, width in zip(numbers, (4, 2, 2), strict=False))
    return None


def enum_of(value: object) -> str | None:
    """UPPER_SNAKE form: "Active, not recruiting" -> ACTIVE_NOT_RECRUITING; text in brackets is dropped."""
    text = short_text_of(value)
    if text is None:
        return None
    return re.sub(r"[^A-Z0-9]+", "_", text.partition("[")[0].upper()).strip("_") or None


def status_of(value: object) -> str | None:
    """Overall status; the older "Unknown status" becomes the API's UNKNOWN."""
    status = enum_of(value)
    return "UNKNOWN" if status == "UNKNOWN_STATUS" else status


def sex_of(value: object) -> str | None:
    """ALL, MALE or FEMALE; the older "Both" is ALL. Another value is kept for the validator to name."""
    sex = enum_of(value)
    return "ALL" if sex == "BOTH" else sex


def age_of(value: object) -> str | None:
    """An age limit such as "18 Years"; "N/A" (no limit) is None."""
    age = short_text_of(value)
    return None if age is None or age.upper().startswith("N/A") else age


def phases_of(value: object) -> list[str]:
    """Phases in the API's names: "Phase 1/Phase 2", "PHASE1|PHASE2", "Phase II/III" or a list of them."""
    phases = []
    for item in _strings(value):
        text = re.sub(r"\bN/A\b", "NA", item, flags=re.IGNORECASE)
        for token in re.split(r"[|/;,]|\band\b", text):
            name = re.sub(r"[^A-Z0-9]", "", token.upper())
            known = _PHASES.get(name) or _PHASES.get(f"PHASE{name}")
            if known or name:
                phases.append(known or enum_of(token) or name)
    return unique(phases)


def items_of(value: object) -> list[str]:
    """Items of a list cell: a list, "a|b", a printed Python list, or a single text; repeats dropped."""
    return unique(_strings(value))


def terms_of(value: object) -> list[str]:
    """`items_of` for conditions and keywords, which some exports join by ";"."""
    items = _strings(value)
    if len(items) == 1 and ";" in items[0] and isinstance(value, str):
        items = _clean(_TERM.findall(items[0]))
    return unique(items)


def interventions_of(value: object) -> list[str]:
    """`items_of` for interventions: also "Drug: X;Drug: Y"; types in the API's capitals become "Drug"."""
    parts = (part for item in _strings(value) for part in _NEXT_TYPED.split(item))
    return unique(typed_name(*_split_type(part)) for part in parts if part)


def typed_name(kind: object, name: str) -> str:
    """("DIETARY_SUPPLEMENT", "Zinc") -> "Dietary Supplement: Zinc"; an unknown kind leaves the name alone."""
    label = _TYPE_NAMES.get(kind.upper().replace(" ", "_")) if isinstance(kind, str) else None
    return f"{label}: {name}" if label else name


def unique(items: Iterable[str]) -> list[str]:
    """The items without repeats, in their order."""
    return list(dict.fromkeys(items))


def _split_type(item: str) -> tuple[str | None, str]:
    match = _TYPED.match(item)
    return (match[1], item[match.end() :]) if match and match.end() < len(item) else (None, item)


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        text = value.strip()
        # A quote must follow: "[18F]GTP1" is a drug, not a list.
        if text[:2] in ("['", '["') and text[-1] == "]":
            printed = _printed_list(text)
            if printed is not None:
                return _clean(printed)
        return _clean(text.split("|"))
    if isinstance(value, list):
        return _clean(value)
    return _clean([value])


def _printed_list(text: str) -> list[object] | None:
    """The list that Python, NumPy or JSON printed, or None."""
    if len(text) > _LONGEST_PRINTED_LIST:
        return None
    if not _COMMA.search(text):
        text = _NUMPY_GAP.sub(r"\1, \2", text)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _clean(items: Iterable[object]) -> list[str]:
    # Some exports end a list by a comma that belongs to no item.
    texts = (short_text_of(item) for item in items)
    return [text for text in ((t or "").rstrip(", ") for t in texts) if text]
