"""Fields that some exports split over several columns, or combine in one."""

import re
from collections.abc import Mapping
from typing import Any

from trialtune.registry.record.enums import boolean_of
from trialtune.registry.record.identifiers import identifier
from trialtune.registry.record.lists import HTML_BREAK, identifiers_of, items_of, raw_items
from trialtune.registry.record.text import text_of

# Columns whose items belong to the items of another: field -> (its key, part -> the part's key).
_ZIPPED = {
    "interventions": ("name", {"intervention_types": "type"}),
    "arms": ("name", {"arm_descriptions": "description"}),
    "primary_outcomes": ("measure", {"primary_descriptions": "description"}),
    "secondary_outcomes": ("measure", {"secondary_descriptions": "description"}),
}
_DESIGN = {
    "allocation": re.compile(r"Allocation:\s*([^|;]+)", re.IGNORECASE),
    "masking": re.compile(r"Masking:\s*([^|;(]+)", re.IGNORECASE),
    "primary_purpose": re.compile(r"Primary Purpose:\s*([^|;]+)", re.IGNORECASE),
}
_HEADS = {"inclusion_criteria": "Inclusion Criteria:", "exclusion_criteria": "Exclusion Criteria:"}


def composed(cells: dict[str, Any]) -> dict[str, Any]:
    """The cells by field, with those of parts merged into their fields."""
    found = dict(cells)
    parts = [text for name in _HEADS if (text := _headed(name, found.pop(name, None)))]
    if parts:
        found.setdefault("eligibility_criteria", "\n\n".join(parts))
    for field, (key, more) in _ZIPPED.items():
        for part, part_key in more.items():
            if (values := found.pop(part, None)) is not None and field in found:
                found[field] = _zipped(found[field], key, values, part_key)
    if (sponsors := found.pop("sponsors", None)) is not None:
        names = items_of(sponsors)
        found.setdefault("lead_sponsor", next(iter(names), None))
        found.setdefault("collaborators", names[1:])
    design = text_of(found.pop("study_design", None)) or ""
    for field, form in _DESIGN.items():
        if match := form.search(design):
            found.setdefault(field, match[1])
    if (locations := found.pop("locations", None)) is not None:
        found.setdefault("countries", _countries(locations))
    if own := text_of(found.pop("org_study_id", None)):
        rest = identifiers_of(found.get("secondary_ids"))
        found["secondary_ids"] = [identifier(own, "org_study_id"), *rest]
    regulated = either(found.pop("fda_drug", None), found.pop("fda_device", None))
    if regulated is not None:
        found.setdefault("is_fda_regulated", regulated)
    return found


def either(*answers: object) -> bool | None:
    """Whether any answer is yes; None when there is none."""
    said = [answer for answer in map(boolean_of, answers) if answer is not None]
    return any(said) if said else None


def _headed(name: str, value: object) -> str | None:
    text, head = text_of(HTML_BREAK.sub("\n", value) if isinstance(value, str) else value), _HEADS[name]
    if text is None or text.lower().startswith(head[:-1].lower()):
        return text
    return f"{head}\n{text}"


def _zipped(items: object, key: str, values: object, part: str) -> object:
    """Both columns' items paired, if they have the same number."""
    ones, others = raw_items(items), raw_items(values)
    if len(ones) != len(others) or any(isinstance(one, Mapping) for one in ones):
        return items
    return [{key: one, part: other} for one, other in zip(ones, others, strict=True)]


def _countries(locations: object) -> list[str]:
    """Countries of locations as objects, or as the site prints them: "Place, City, Country|Place, ..."."""
    found = []
    for place in raw_items(locations):
        if isinstance(place, Mapping):
            found.append(text_of(place.get("country") or place.get("LocationCountry")))
        elif text := text_of(place):
            found.append(text_of(text.rpartition(",")[2]))
    return list(dict.fromkeys(country for country in found if country))
