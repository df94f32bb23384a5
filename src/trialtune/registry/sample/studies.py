"""Made-up studies: dates, status and ids around the words, in the shape of the registry's API v2."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from trialtune.registry.sample.bodies import (
    plan_body,
    write_arms,
    write_criteria,
    write_descriptions,
    write_outcomes,
    write_titles,
)
from trialtune.registry.sample.conditions import Condition
from trialtune.registry.sample.designs import (
    SPONSORS,
    Sponsor,
    has_results,
    write_dates,
    write_design,
    write_identifiers,
    write_oversight,
    write_places,
    write_sponsors,
)
from trialtune.registry.sample.sexes import choose_condition, plan_sexes, write_sex
from trialtune.registry.sample.stop_reasons import Labels, plan_labels, write_reason
from trialtune.registry.settings import SampleSettings

STOPPED_SHARE = 0.55
_FIRST_DAY, _LAST_START, _LAST_DAY = date(2005, 1, 3), date(2026, 6, 30), date(2026, 9, 30)
_PANDEMIC = date(2020, 4, 1)
# No trial has reached these numbers: a made-up record cannot be taken for a registered one.
_FIRST_ID, _ID_ROOM = 90_000_000, 9_000_000


@dataclass(frozen=True)
class SampleStudy:
    """An API-v2-shaped record, and the labels of its stop reason (none if it was not stopped)."""

    study: dict[str, Any]
    labels: tuple[str, ...]


def generate_studies(settings: SampleSettings) -> Iterator[SampleStudy]:
    """Yield clean made-up studies, ids and start dates rising; the same settings give the same studies."""
    rng = Random(f"{settings.seed}/plan")
    starts = [_start(place, settings) for place in range(settings.studies)]
    sexes = plan_sexes(settings.studies, rng)
    reasons = _plan_stops(starts, rng)
    for place, (start, sex) in enumerate(zip(starts, sexes, strict=True)):
        # A generator of its own for each study: changing one template leaves the others' plans alone.
        own = Random(f"{settings.seed}/{place}")
        step = _ID_ROOM // settings.studies
        nct_id = f"NCT{_FIRST_ID + place * step + own.randrange(step)}"
        yield _study(nct_id, start, sex, reasons.get(place), own)


def _start(place: int, settings: SampleSettings) -> date:
    room = (_LAST_START - _FIRST_DAY).days
    jitter = Random(f"{settings.seed}/{place}/start").random()
    return _FIRST_DAY + timedelta(days=int((place + jitter) * room / settings.studies))


def _plan_stops(starts: list[date], rng: Random) -> dict[int, Labels]:
    """Which studies stop, and why; the pandemic stops only trials that could have met it."""
    stopped = rng.sample(range(len(starts)), round(len(starts) * STOPPED_SHARE))
    reasons = plan_labels(len(stopped), rng)
    open_then = [place for place in stopped if starts[place].year in range(2017, 2022)]
    ill = [labels for labels in reasons if "Covid19" in labels]
    plan = dict(zip(open_then, ill, strict=False))
    rest = [labels for labels in reasons if "Covid19" not in labels]
    rest += [("Insufficient_Enrollment",)] * (len(ill) - len(plan))
    return plan | dict(zip((place for place in stopped if place not in plan), rest, strict=True))


def _study(nct_id: str, start: date, sex: str, labels: Labels | None, rng: Random) -> SampleStudy:
    condition = choose_condition(sex, start.year, rng)
    ages, age_fields = _ages(condition, rng)
    plan = plan_body(condition, write_sex(sex, condition, ages, rng), rng)
    keywords = rng.sample((plan.drug, plan.measures[0], plan.measures[-1], condition.text), rng.randint(0, 3))
    sponsors = rng.choice(SPONSORS)
    protocol = {
        "identificationModule": {
            "nctId": nct_id,
            **write_titles(plan, rng),
        },
        "statusModule": _status(start, labels, rng),
        "descriptionModule": write_descriptions(plan, rng),
        "conditionsModule": {
            "conditions": [condition.name],
            **({"keywords": list(dict.fromkeys(keywords))} if keywords else {}),
        },
        "designModule": {"studyType": "INTERVENTIONAL", "phases": _phases(plan.kind, condition, rng)},
        "armsInterventionsModule": write_arms(plan, rng),
        "outcomesModule": write_outcomes(plan, rng),
        "eligibilityModule": {
            "eligibilityCriteria": write_criteria(plan, ages, rng),
            "healthyVolunteers": condition.area == "healthy",
            "sex": sex,
            **age_fields,
        },
    }
    # The groups have draws of their own: they leave the words alone.
    study = _with_groups(protocol, start, sponsors, Random(f"{nct_id}/groups"))
    return SampleStudy(study, labels or ())


def _with_groups(
    protocol: dict[str, Any], start: date, sponsors: tuple[Sponsor, ...], rng: Random
) -> dict[str, Any]:
    """The study of a protocol, which is given what studies of trials group by."""
    identification, status = protocol["identificationModule"], protocol["statusModule"]
    identification |= write_identifiers(identification["nctId"], rng)
    protocol["sponsorCollaboratorsModule"] = module = write_sponsors(sponsors, rng)
    lead = module["leadSponsor"]
    identification["organization"] = {"fullName": lead["name"], "class": lead["class"]}
    overall, updated = status["overallStatus"], date.fromisoformat(status["lastUpdatePostDateStruct"]["date"])
    status |= write_dates(start, overall, updated, rng)
    arms = protocol["armsInterventionsModule"]
    kind = arms["interventions"][0]["type"].replace("_", " ").title()
    protocol["designModule"] |= write_design(kind, len(arms["armGroups"]), overall, rng)
    protocol["oversightModule"] = write_oversight(kind, rng)
    protocol["contactsLocationsModule"] = write_places(rng)
    ended = date.fromisoformat(status["primaryCompletionDateStruct"]["date"])
    return {"protocolSection": protocol, "hasResults": has_results(overall, ended, updated, rng)}


def _ages(condition: Condition, rng: Random) -> tuple[dict[str, str], dict[str, str]]:
    """Ages for sentences, and the structured fields; a highest age is often left open."""
    lowest = condition.minimum_age + (rng.choice((0, 0, 0, 2, 3)) if condition.minimum_age >= 18 else 0)
    highest = condition.maximum_age or rng.choice((65, 70, 75, 80, 85))
    fields = {"minimumAge": f"{lowest} Years"} if lowest else {}
    if condition.maximum_age or rng.random() < 0.5:
        fields["maximumAge"] = f"{highest} Years"
    return {"min": str(lowest), "max": str(highest)}, fields


def _status(start: date, labels: Labels | None, rng: Random) -> dict[str, Any]:
    updated = start + timedelta(days=rng.randint(150, 1900))
    if labels and "Covid19" in labels:
        updated = max(updated, _PANDEMIC + timedelta(days=rng.randint(0, 400)))
    module: dict[str, Any] = {"overallStatus": _running_status(start, rng)}
    if labels:
        reason = write_reason(labels, start.year, rng)
        module = {"overallStatus": reason.status, "whyStopped": reason.text}
    # Older records often give the month only.
    started = start.isoformat() if start.year > 2016 or rng.random() < 0.4 else f"{start:%Y-%m}"
    module["startDateStruct"] = {"date": started}
    module["lastUpdatePostDateStruct"] = {"date": min(updated, _LAST_DAY).isoformat(), "type": "ACTUAL"}
    return module


def _running_status(start: date, rng: Random) -> str:
    if start.year >= 2024:
        return rng.choice(("RECRUITING", "RECRUITING", "NOT_YET_RECRUITING", "ACTIVE_NOT_RECRUITING"))
    return rng.choices(("COMPLETED", "UNKNOWN", "ACTIVE_NOT_RECRUITING"), (75, 20, 5))[0]


def _phases(kind: str, condition: Condition, rng: Random) -> list[str]:
    if kind not in {"Drug", "Biological", "Genetic"}:
        return ["NA"]
    if condition.area == "healthy":
        return [rng.choice(("PHASE1", "PHASE1", "PHASE1", "EARLY_PHASE1"))]
    choices = (["PHASE1"], ["PHASE1", "PHASE2"], ["PHASE2"], ["PHASE2", "PHASE3"], ["PHASE3"], ["PHASE4"])
    return rng.choices(choices, (12, 9, 30, 5, 26, 18))[0]
