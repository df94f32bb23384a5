"""Enumerated values, by the API's names: status, phase, sex, sponsor class, yes and no.

Each function returns None (or no item) for an unknown value: nothing is guessed.
"""

import math
import re
from collections.abc import Iterable

from trialtune.registry.record.lists import raw_items, unique
from trialtune.registry.record.text import remembered, text_of

# https://clinicaltrials.gov/data-api/about-api/study-data-structure (enumeration types)
STATUSES = frozenset(
    {"ACTIVE_NOT_RECRUITING", "COMPLETED", "ENROLLING_BY_INVITATION", "NOT_YET_RECRUITING", "RECRUITING"}
    | {"SUSPENDED", "TERMINATED", "WITHDRAWN", "AVAILABLE", "NO_LONGER_AVAILABLE"}
    | {"TEMPORARILY_NOT_AVAILABLE", "APPROVED_FOR_MARKETING", "WITHHELD", "UNKNOWN"}
)
STUDY_TYPES = ("INTERVENTIONAL", "OBSERVATIONAL", "EXPANDED_ACCESS")
SPONSOR_CLASSES = frozenset(
    {"NIH", "FED", "OTHER_GOV", "INDIV", "INDUSTRY", "NETWORK", "AMBIG", "OTHER", "UNKNOWN"}
)
_SPONSOR_SYNONYMS = {"U_S_FED": "FED", "OTHER_U_S_FEDERAL_AGENCY": "FED", "INDIVIDUAL": "INDIV"}
_PURPOSES = frozenset(
    {"TREATMENT", "PREVENTION", "DIAGNOSTIC", "ECT", "SUPPORTIVE_CARE", "SCREENING", "OTHER"}
    | {"HEALTH_SERVICES_RESEARCH", "BASIC_SCIENCE", "DEVICE_FEASIBILITY"}
)
_PURPOSE_SYNONYMS = {"EDUCATIONAL_COUNSELING_TRAINING": "ECT"}
_ALLOCATIONS = frozenset({"RANDOMIZED", "NON_RANDOMIZED", "NA"})
_ALLOCATION_SYNONYMS = {"NONRANDOMIZED": "NON_RANDOMIZED", "N_A": "NA"}
_MASKINGS = frozenset({"NONE", "SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE"})
_ENROLLMENT_TYPES = frozenset({"ACTUAL", "ESTIMATED"})
_ENROLLMENT_SYNONYMS = {"ANTICIPATED": "ESTIMATED"}

_BOTH = {"ALL", "BOTH", "ANY", "MF", "FM", "M_F", "F_M", "MALE_FEMALE", "FEMALE_MALE", "BOTH_SEXES"}
_BOTH |= {"MALE_AND_FEMALE", "FEMALE_AND_MALE", "BOTH_MALE_AND_FEMALE", "BOTH_MALES_AND_FEMALES"}
_BOTH |= {"BOTH_GENDERS", "MALES_AND_FEMALES", "MALE_YES_FEMALE_YES", "FEMALE_YES_MALE_YES"}
_SEXES = {
    **dict.fromkeys(_BOTH, "ALL"),
    **dict.fromkeys(("MALE", "MALES", "M", "MEN", "MALE_ONLY", "FEMALE_NO_MALE_YES"), "MALE"),
    **dict.fromkeys(("FEMALE", "FEMALES", "F", "WOMEN", "FEMALE_ONLY", "FEMALE_YES_MALE_NO"), "FEMALE"),
}
_YES = {"TRUE", "T", "YES", "Y", "1", "1_0", "HAS_RESULTS", "ACCEPTS_HEALTHY_VOLUNTEERS"}
_NO = {"FALSE", "F", "NO", "N", "0", "0_0", "NO_RESULTS_AVAILABLE", "NO_RESULTS"}

_PHASES = {
    **{"NA": "NA", "0": "EARLY_PHASE1", "EARLY1": "EARLY_PHASE1"},
    **{str(n): f"PHASE{n}" for n in range(1, 5)},
    **{roman: f"PHASE{n}" for n, roman in enumerate(("I", "II", "III", "IV"), start=1)},
}
_NOT_APPLICABLE = re.compile(r"\bN\s*/\s*A\b|\bN\.A\.|NOT[ _]?APPLICABLE", re.IGNORECASE)
_EARLY = re.compile(r"EARLY[ _-]*PHASE[ _-]*(?:1|I)(?![0-9I])")
_HALF_PHASE = re.compile(r"([0-4])(?:\.([05]))?0*")
_FILLER = {"TRIAL", "TRIALS", "STUDY", "CLINICAL", "AND", "TO", ""}


@remembered
def status_of(value: object) -> str | None:
    """Overall status; the older "Unknown status" becomes the API's UNKNOWN."""
    status = _name(value)
    return _listed("UNKNOWN" if status == "UNKNOWN_STATUS" else status, STATUSES)


@remembered
def study_type_of(value: object) -> str | None:
    """Study type; "Observational [Patient Registry]" and "Expanded Access:Individual Patients" too."""
    name = _name(value) or ""
    return next((kind for kind in STUDY_TYPES if name.startswith(kind)), None)


@remembered
def sex_of(value: object) -> str | None:
    """ALL, MALE or FEMALE; the older "Both" is ALL. Another value is kept for the validator to name."""
    sex = _name(value)
    return None if sex is None else _SEXES.get(sex, sex)


@remembered
def age_of(value: object) -> str | None:
    """An age limit such as "18 Years"; "N/A" (no limit) is None."""
    age = text_of(value)
    return None if age is None or age.upper().startswith("N/A") else age


@remembered
def sponsor_class_of(value: object) -> str | None:
    """Class of the lead sponsor: INDUSTRY, NIH, FED, ...; None where several are joined."""
    return _listed(_name(value), SPONSOR_CLASSES, _SPONSOR_SYNONYMS)


@remembered
def purpose_of(value: object) -> str | None:
    """Primary purpose, such as TREATMENT."""
    return _listed(_name(value), _PURPOSES, _PURPOSE_SYNONYMS)


@remembered
def allocation_of(value: object) -> str | None:
    """RANDOMIZED, NON_RANDOMIZED, or NA where a trial has one arm."""
    if isinstance(value, str) and value.strip().upper() in ("NA", "N/A"):
        return "NA"
    return _listed(_name(value), _ALLOCATIONS, _ALLOCATION_SYNONYMS)


@remembered
def masking_of(value: object) -> str | None:
    """NONE (open label), SINGLE, DOUBLE, TRIPLE or QUADRUPLE; those masked, in brackets, are dropped."""
    if isinstance(value, str) and value.strip().upper() == "NONE":
        return "NONE"
    name = _name(value) or ""
    if name.startswith("OPEN"):
        return "NONE"
    return _listed(name.removesuffix("_BLIND").removesuffix("_MASKED"), _MASKINGS)


@remembered
def enrollment_type_of(value: object) -> str | None:
    """ACTUAL or ESTIMATED; the older "Anticipated" is ESTIMATED."""
    return _listed(_name(value), _ENROLLMENT_TYPES, _ENROLLMENT_SYNONYMS)


@remembered
def boolean_of(value: object) -> bool | None:
    """Yes and no in the spellings of registries and programs."""
    if isinstance(value, bool):
        return value
    name = _name(value)
    return True if name in _YES else False if name in _NO else None


@remembered
def count_of(value: object) -> int | None:
    """A number of participants, as "70" or 70.0."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value if isinstance(value, int | float) else (text_of(value) or "").replace(",", ""))
    except (ValueError, OverflowError):
        return None
    return int(number) if math.isfinite(number) and number == int(number) and 0 <= number < 1 << 53 else None


def read_phases(value: object) -> tuple[list[str], list[str]]:
    """Phases by the API's names, and the items that are not phases.

    Reads "Phase 1/Phase 2", "PHASE1|PHASE2", "Phase II/III", "2.0" and lists of them.
    """
    found: list[str] = []
    unread: list[str] = []
    for item in raw_items(value):
        phases = _of_item(item)
        if phases is None:
            unread.append(str(item))
        else:
            found += phases
    return unique(found), unread


@remembered
def _of_item(value: object) -> list[str] | None:
    """The phases of one item; none for an empty one, and None for what is not a phase."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return [] if value is None else None
    text = str(value).strip().upper()
    if match := _HALF_PHASE.fullmatch(text):
        whole, half = int(match[1]), match[2] == "5"
        numbers = [whole or 0, *([whole + 1] if half and whole else [])]
        return [_PHASES[str(number)] for number in numbers if str(number) in _PHASES]
    if text != "NA" and text_of(text) is None and not _NOT_APPLICABLE.fullmatch(text):
        return []
    text = _EARLY.sub("|0", _NOT_APPLICABLE.sub("NA", text)).replace("PHASES", "|").replace("PHASE", "|")
    names = [token for token in re.split(r"[^A-Z0-9]+", text) if token not in _FILLER]
    found = [_PHASES.get(name) or _PHASES.get(re.sub(r"(?<=[0-9IV])[ABC]$", "", name)) for name in names]
    return [phase for phase in found if phase] if names and all(found) else None


def _name(value: object) -> str | None:
    """UPPER_SNAKE form: "Active, not recruiting" -> ACTIVE_NOT_RECRUITING; text in brackets is dropped."""
    text = text_of(value)
    if text is None:
        return None
    if text.isupper() and text.isalpha():
        return text
    return re.sub(r"[^A-Z0-9]+", "_", re.split(r"[\[(]", text)[0].upper()).strip("_") or None


def _listed(name: str | None, known: Iterable[str], synonyms: dict[str, str] | None = None) -> str | None:
    if name is None or name in known:
        return name
    return (synonyms or {}).get(name)
