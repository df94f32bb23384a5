"""List cells: items of conditions, interventions, arms and outcomes, in all formats."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from trialtune.registry.record.identifiers import identifier
from trialtune.registry.record.printed_lists import printed_list
from trialtune.registry.record.text import text_of

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
_TYPE_NAMES |= {name.upper(): name for name in INTERVENTION_TYPES}
_TYPE_NAMES |= {name: name for name in INTERVENTION_TYPES}
_TYPE = "|".join(name.replace(" ", "[ _]") for name in INTERVENTION_TYPES)
_TYPED = re.compile(rf"({_TYPE}):\s*", re.IGNORECASE)
_NEXT_TYPED = re.compile(rf";\s*(?=(?:{_TYPE}):)", re.IGNORECASE)
# "COVID-19;Fever" is two conditions; "Kidney Transplant; Complications" and "inv(16)(p13;q22)" are one.
_TERM = re.compile(r"(?:\([^()]*\)|;(?=\s)|[^;(]+|\()+")
HTML_BREAK = re.compile(r"\s*<br\s*/?>\s*", re.IGNORECASE)
# Names of the parts of an item in the API, its predecessor and AACT; compared without punctuation.
_PARTS = {
    "type": ("type", "interventiontype", "secondaryidtype", "idtype"),
    "name": (
        *("name", "interventionname", "condition", "keyword", "term", "label", "title", "armgrouplabel"),
        *("collaboratorname", "country", "fullname"),
    ),
    "id": ("id", "secondaryid", "idvalue", "value"),
    "measure": ("measure", "primaryoutcomemeasure", "secondaryoutcomemeasure", "name", "title"),
    "description": (
        *("description", "interventiondescription", "armgroupdescription"),
        *("primaryoutcomedescription", "secondaryoutcomedescription"),
    ),
    "time_frame": ("timeframe", "primaryoutcometimeframe", "secondaryoutcometimeframe"),
}


def items_of(value: object) -> list[str]:
    """Items of a list cell: a list, "a|b", a printed list, or a single text; repeats dropped."""
    return unique(_texts(value))


def terms_of(value: object) -> list[str]:
    """`items_of` for conditions and keywords, which some exports join by ";"."""
    items = _texts(value)
    if len(items) == 1 and ";" in items[0] and _is_joined(value):
        items = _clean(_TERM.findall(items[0]), joined=True)
    return unique(items)


def interventions_of(value: object) -> list[str]:
    """`items_of` for interventions: also "Drug: X;Drug: Y"; types in the API's capitals become "Drug"."""
    found = []
    joined = _is_joined(value)
    for item in raw_items(value):
        if isinstance(item, dict):
            found.append(intervention_of(item))
        else:
            texts = _clean([item], joined=joined)
            # Items of a list are not split; only joined text may have several between its bars.
            parts = [part for text in texts for part in _NEXT_TYPED.split(text)] if joined else texts
            found += [typed_name(*_split_type(part)) for part in parts if part]
    return unique(item for item in found if item)


def intervention_of(entry: Mapping[str, Any]) -> str | None:
    """ "Drug: Aspirin" of {"type": "DRUG", "name": "Aspirin"}; its description where it has no name."""
    return typed_name(_part(entry, "type"), _part(entry, "name") or _part(entry, "description"))


def arms_of(value: object) -> list[str]:
    """`items_of` for arms, which are "label: description"."""
    items = [_joined(item, "name") if isinstance(item, dict) else item for item in raw_items(value)]
    return unique(_clean(items, joined=_is_joined(value)))


def outcomes_of(value: object) -> list[str]:
    """Outcomes as "measure: description"; those that differ only in time frame have it appended."""
    items = raw_items(value)
    texts = [_joined(item, "measure") if isinstance(item, dict) else text_of(item) or "" for item in items]
    if len(set(texts)) < len(texts):
        frames = [_part(item, "time_frame") if isinstance(item, dict) else None for item in items]
        different = set(zip(texts, frames, strict=True))
        alike = {text for text, count in Counter(text for text, _ in different).items() if count > 1}
        texts = [
            f"{text} [{frame}]" if frame and text in alike else text
            for text, frame in zip(texts, frames, strict=True)
        ]
    return unique(filter(None, texts))


def identifiers_of(value: object) -> list[str]:
    """Ids prefixed by their kinds, from texts or the API's {"id": ..., "type": ...}."""
    found = []
    for item in [] if value is None else raw_items(value):
        entry = item if isinstance(item, dict) else {"id": item}
        found += [identifier(text, _part(entry, "type")) for text in [_part(entry, "id")] if text]
    return unique(found)


def typed_name(kind: object, name: str | None) -> str | None:
    """("DIETARY_SUPPLEMENT", "Zinc") -> "Dietary Supplement: Zinc"; an unknown kind is dropped."""
    if name is None or not isinstance(kind, str):
        return name
    label = _TYPE_NAMES.get(kind) or _TYPE_NAMES.get(kind.upper().replace(" ", "_"))
    return f"{label}: {name}" if label else name


def unique(items: Iterable[str]) -> list[str]:
    """The items without repeats, in their order."""
    return list(dict.fromkeys(items))


def _split_type(item: str) -> tuple[str | None, str]:
    match = _TYPED.match(item)
    return (match[1], item[match.end() :]) if match and match.end() < len(item) else (None, item)


def _is_joined(value: object) -> bool:
    """Whether a cell is text that may hold several items, not a list."""
    return isinstance(value, str) and printed_list(value.strip()) is None


def raw_items(value: object) -> list[object]:
    """The cell's items unchanged: text, numbers, dicts."""
    if isinstance(value, str):
        text = value.strip()
        printed = printed_list(text)
        if printed is not None:
            return [part for item in printed for part in (item if isinstance(item, list) else [item])]
        if "<" in text:
            text = HTML_BREAK.sub("|", text)
        return list(text.split("|"))
    if isinstance(value, list | tuple):
        return list(value)
    return [value]


def _texts(value: object) -> list[str]:
    items = [_part(item, "name") if isinstance(item, dict) else item for item in raw_items(value)]
    return _clean(items, joined=_is_joined(value))


def _clean(items: Iterable[object], *, joined: bool) -> list[str]:
    texts = [text for item in items if (text := text_of(item))]
    # Some exports add a trailing comma to joined items; those of a list are left unchanged.
    return [text for item in texts if (text := item.rstrip(", "))] if joined else texts


def _joined(entry: Mapping[str, Any], first: str) -> str:
    name, description = _part(entry, first), _part(entry, "description")
    return f"{name}: {description}" if name and description else name or description or ""


def _part(entry: Mapping[str, Any], name: str) -> str | None:
    if name in entry:
        return text_of(entry[name])
    key = _key_of(tuple(entry), name)
    return None if key is None else text_of(entry[key])


@lru_cache(maxsize=4096)
def _key_of(keys: tuple[str, ...], name: str) -> str | None:
    """The item's key for a part, by any of its names."""
    known = {re.sub(r"[^a-z]", "", str(key).lower()): key for key in keys}
    return next((known[alias] for alias in _PARTS[name] if alias in known), None)
