"""What studies of trials group by, made up: sponsors, places, sizes, dates, purpose and design."""

from datetime import date, timedelta
from random import Random
from typing import Any

Sponsor = tuple[str, str]  # its name and its class, in the registry's terms

#: Made-up sponsors by kind; the kinds are equally frequent.
SPONSORS: tuple[tuple[Sponsor, ...], ...] = (
    (("Marrowbridge University", "OTHER"), ("University of Lindmoor", "OTHER")),
    (("Velmora Pharma", "INDUSTRY"), ("Sorrel Biologics", "INDUSTRY")),
    (("Eastvale Medical Center", "OTHER"), ("Saint Orla Hospital", "OTHER")),
    (("Brixolab", "INDUSTRY"), ("Auventra", "INDUSTRY")),
    (
        *(("Northlake Institute of Health", "NIH"), ("Harrow Bay Veterans Hospital", "FED")),
        *(("Calvessa Ministry of Health", "OTHER_GOV"), ("Three Rivers Oncology Group", "NETWORK")),
    ),
)
_COUNTRIES = {
    "United States": 40,
    **{"Germany": 9, "France": 9, "Canada": 8, "United Kingdom": 8, "China": 8, "Spain": 6, "Italy": 6},
    **{"Japan": 5, "Brazil": 4, "India": 4, "Egypt": 4, "South Korea": 4, "Australia": 3, "Poland": 3},
}
_PURPOSES = {"TREATMENT": 68, "PREVENTION": 12, "SUPPORTIVE_CARE": 8, "DIAGNOSTIC": 6, "BASIC_SCIENCE": 6}
_MASKINGS = {"NONE": 50, "SINGLE": 12, "DOUBLE": 16, "TRIPLE": 7, "QUADRUPLE": 15}
_SIZES = (12, 20, 30, 40, 60, 80, 100, 150, 240, 400, 800)
_POSTED_LATEST = 90  # days that a record is posted before the trial starts, or after
_RESULTS_DUE = 365
_RESULTS_SHARE = 0.3
_REGULATED_KINDS = {"Drug", "Biological", "Device"}


def write_sponsors(kind: tuple[Sponsor, ...], rng: Random) -> dict[str, Any]:
    """A lead sponsor of a kind, and in some records collaborators."""
    lead = rng.choice(kind)
    module: dict[str, Any] = {"leadSponsor": _organization(lead)}
    others = [sponsor for each in SPONSORS for sponsor in each if sponsor != lead]
    if chosen := rng.sample(others, rng.choices((0, 1, 2), (70, 22, 8))[0]):
        module["collaborators"] = [_organization(sponsor) for sponsor in chosen]
    return module


def write_places(rng: Random) -> dict[str, Any]:
    """One to fifteen places; most trials have theirs in one country."""
    countries = dict.fromkeys(_drawn(_COUNTRIES, rng) for _ in range(rng.choices((1, 2, 5), (82, 10, 8))[0]))
    places = [country for country in countries for _ in range(rng.randint(1, 3))]
    return {"locations": [{"country": country} for country in places]}


def write_identifiers(nct_id: str, rng: Random) -> dict[str, Any]:
    """The sponsor's own number, and in some records another register's."""
    ids: dict[str, Any] = {"orgStudyIdInfo": {"id": f"MADE-UP-{nct_id[-6:]}"}}
    if rng.random() < 0.15:
        number = f"{rng.randint(2005, 2022)}-{rng.randrange(10_000):06}-{rng.randrange(100):02}"
        ids["secondaryIdInfos"] = [{"id": number, "type": "EUDRACT_NUMBER"}]
    return ids


def write_design(kind: str, arms: int, status: str, rng: Random) -> dict[str, Any]:
    """Purpose, allocation, masking and size; nobody is enrolled in a trial that was withdrawn."""
    many = arms > 1
    allocation = rng.choices(("RANDOMIZED", "NON_RANDOMIZED"), (85, 15))[0] if many else "NA"
    masking = _drawn(_MASKINGS, rng) if many else "NONE"
    purpose = "DIAGNOSTIC" if kind == "Diagnostic Test" else _drawn(_PURPOSES, rng)
    ended = status in {"COMPLETED", "TERMINATED", "WITHDRAWN"}
    size = 0 if status == "WITHDRAWN" else rng.choice(_SIZES) + rng.randint(0, 9)
    return {
        "designInfo": {
            "allocation": allocation,
            "primaryPurpose": purpose,
            "maskingInfo": {"masking": masking},
        },
        "enrollmentInfo": {"count": size, "type": "ACTUAL" if ended else "ESTIMATED"},
    }


def write_oversight(kind: str, rng: Random) -> dict[str, bool]:
    """Whether the FDA has a say; never of a drug where the trial has none."""
    regulated = kind in _REGULATED_KINDS and rng.random() < 0.45
    return {
        "isFdaRegulatedDrug": regulated and kind != "Device",
        "isFdaRegulatedDevice": regulated and kind == "Device",
    }


def write_dates(start: date, status: str, updated: date, rng: Random) -> dict[str, dict[str, str]]:
    """When the record was first posted, and when the trial ends or ended: never before it started."""
    posted = min(start + timedelta(days=rng.randint(-_POSTED_LATEST, _POSTED_LATEST)), updated)
    primary = start + timedelta(days=rng.randint(90, 1500))
    last = primary + timedelta(days=rng.choice((0, 0, 30, 90, 365)))
    if status in {"COMPLETED", "TERMINATED", "WITHDRAWN"}:
        primary, last = max(min(primary, updated), start), max(min(last, updated), start)
    days = {"studyFirstPost": posted, "primaryCompletion": primary, "completion": last}
    return {f"{name}DateStruct": {"date": day.isoformat()} for name, day in days.items()}


def has_results(status: str, ended: date, updated: date, rng: Random) -> bool:
    """Results are posted a year after the end at the earliest, and of few trials."""
    due = status in {"COMPLETED", "TERMINATED"} and updated - ended > timedelta(days=_RESULTS_DUE)
    return due and rng.random() < _RESULTS_SHARE


def _organization(sponsor: Sponsor) -> dict[str, str]:
    name, kind = sponsor
    return {"name": name, "class": kind}


def _drawn(shares: dict[str, int], rng: Random) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]
