"""The words of a made-up study record: titles, descriptions, arms, outcomes and eligibility criteria."""

import re
from dataclasses import dataclass
from random import Random
from typing import Any

from trialtune.registry.sample.conditions import Condition
from trialtune.registry.sample.phrases import capitalized, fill, load_bank
from trialtune.registry.sample.sexes import SexText

_DRUG_LIKE = {"Drug", "Biological", "Genetic", "Dietary Supplement"}
# Sentences that fit only patients, and those that fit only something given in doses.
_OF_PATIENTS = re.compile(
    r"diagnosis|[Tt]reatment of|Treatment options|Hospital visits|guidelines|Life expectancy"
)
_OF_DOSES = re.compile(r"dose|allerg|Tolerability|Neither the participant")
_CODES = ("QLM", "VRX", "ZN", "HBT", "ORD", "TKL")


@dataclass(frozen=True)
class Plan:
    """What one trial is about; the sentences draw their values from here."""

    condition: Condition
    sex: SexText
    kind: str
    drug: str
    control: str
    measures: tuple[str, ...]
    values: dict[str, str]


def plan_body(condition: Condition, sex: SexText, rng: Random) -> Plan:
    """Pick the trial's intervention, comparator and measures."""
    kind, _, drug = rng.choice(condition.interventions).partition(": ")
    if kind == "Drug" and rng.random() < (0.5 if condition.area == "healthy" else 0.12):
        drug = f"{rng.choice(_CODES)}-{rng.randrange(101, 9999)}"
    others = [name.partition(": ")[2] for name in condition.interventions]
    others = [name for name in others if name != drug] + ["usual care", "standard treatment"]
    if kind in _DRUG_LIKE:
        others.append("placebo")
    control = rng.choice(others)
    measures = tuple(rng.sample(condition.measures, len(condition.measures)))
    facts = rng.sample(condition.facts, len(condition.facts))
    values = {
        "condition": condition.text,
        "people": sex.people,
        "People": capitalized(sex.people),
        "drug": drug,
        "control": control,
        "measure": _uncapitalized(measures[0]),
        "other": _uncapitalized(measures[1]),
        "fact": facts[0],
        "fact2": facts[-1],
    }
    for name in ("early", "weeks", "later", "total"):
        values[name] = rng.choice(load_bank("body.yaml")["slots"][name])
    return Plan(condition, sex, kind, drug, control, measures, values)


def write_titles(plan: Plan, rng: Random) -> dict[str, str]:
    """Brief title, and in most records an official one."""
    titles = {"briefTitle": capitalized(_sentence("titles", plan, rng))}
    if rng.random() < 0.85:
        titles["officialTitle"] = capitalized(_sentence("official", plan, rng))
    return titles


def write_descriptions(plan: Plan, rng: Random) -> dict[str, str]:
    """A brief summary and, in four of five records, a detailed description; sex sentences fall in either."""
    told = list(plan.sex.sentences)
    detailed = rng.random() < 0.8
    background = _sentences("background", 5, plan, rng)
    mechanics = _sentences("mechanics", 7, plan, rng)
    before, after = rng.randint(0, 2), rng.randint(0, 2)
    summary = background[:before] + _sentences("aims", 1, plan, rng) + mechanics[:after]
    if told and (not detailed or rng.random() < 0.6):
        summary += told
        told = []
    modules = {"briefSummary": _paragraph(summary)}
    if detailed:
        parts = [
            background[before : rng.randint(3, 5)],
            mechanics[after : rng.randint(4, 7)] + told,
            _sentences("analysis", rng.randint(1, 3), plan, rng),
        ]
        modules["detailedDescription"] = "\n\n".join(_paragraph(part) for part in parts)
    return modules


def write_arms(plan: Plan, rng: Random) -> dict[str, Any]:
    """Two arms and their interventions, or a single arm."""
    names = [plan.drug] if rng.random() < 0.15 else [plan.drug, plan.control]
    arms, interventions = [], []
    for place, name in enumerate(names):
        label = capitalized(name)
        kind = plan.kind if place == 0 or _is_listed(plan, name) else "Other"
        bank = "arms" if place == 0 else "control_arms"
        arms.append(
            {
                "label": label,
                "type": "EXPERIMENTAL" if place == 0 else _comparator(name),
                "description": capitalized(_sentence(bank, plan, rng)) + ".",
                "interventionNames": [f"{kind}: {label}"],
            }
        )
        interventions.append(
            {"type": kind.upper().replace(" ", "_"), "name": label, "armGroupLabels": [label]}
        )
    return {"armGroups": arms, "interventions": interventions}


def write_outcomes(plan: Plan, rng: Random) -> dict[str, Any]:
    """One or two primary and one to four secondary outcomes with their time frames."""
    also = rng.sample(load_bank("body.yaml")["also_measured"], rng.randint(1, 2))
    cut = rng.choice((1, 1, 1, 2)) if len(plan.measures) > 2 else 1
    return {
        "primaryOutcomes": [_outcome(measure, plan, rng) for measure in plan.measures[:cut]],
        "secondaryOutcomes": [_outcome(measure, plan, rng) for measure in (*plan.measures[cut:], *also)],
    }


def write_criteria(plan: Plan, ages: dict[str, str], rng: Random) -> str:
    """Inclusion and exclusion bullets in the API's Markdown, the sex lines anywhere among them."""
    area = load_bank("body.yaml")["exclusion"][plan.condition.area]
    inclusion = [capitalized(line) for line in rng.sample(plan.condition.criteria, rng.randint(2, 3))]
    inclusion += _sentences("inclusion", rng.randint(2, 3), plan, rng)
    if rng.random() < 0.5:
        inclusion.append(_age_line(ages, rng))
    exclusion = _sentences("exclusion/any", rng.randint(2, 4), plan, rng)
    exclusion += [_filled(line, plan, rng) for line in rng.sample(area, rng.randint(2, 4))]
    inclusion += plan.sex.inclusion
    exclusion += plan.sex.exclusion
    rng.shuffle(inclusion)
    rng.shuffle(exclusion)
    numbered = rng.random() < 0.3
    blocks = [("Inclusion Criteria:", inclusion), ("Exclusion Criteria:", exclusion)]
    return "\n\n".join(f"{heading}\n\n{_bullets(lines, numbered)}" for heading, lines in blocks)


def _age_line(ages: dict[str, str], rng: Random) -> str:
    line = rng.choice(("Age ≥ {min} years", "Age {min} to {max} years", "{min} years of age or older"))
    return line.format(**ages)


def _outcome(measure: str, plan: Plan, rng: Random) -> dict[str, str]:
    outcome = {"measure": capitalized(measure)}
    if rng.random() < 0.6:
        outcome["description"] = capitalized(_sentence("outcomes", plan, rng)) + "."
    outcome["timeFrame"] = f"{plan.values['weeks']} weeks"
    return outcome


def _is_listed(plan: Plan, name: str) -> bool:
    return any(intervention == f"{plan.kind}: {name}" for intervention in plan.condition.interventions)


def _comparator(name: str) -> str:
    kinds = {"placebo": "PLACEBO_COMPARATOR", "usual care": "NO_INTERVENTION"}
    return kinds.get(name, "ACTIVE_COMPARATOR")


def _bullets(lines: list[str], numbered: bool) -> str:
    return "\n".join(f"{place}. {line}" if numbered else f"* {line}" for place, line in enumerate(lines, 1))


def _sentence(bank: str, plan: Plan, rng: Random) -> str:
    return _sentences(bank, 1, plan, rng)[0]


def _sentences(bank: str, count: int, plan: Plan, rng: Random) -> list[str]:
    lines: Any = load_bank("body.yaml")
    for key in bank.split("/"):
        lines = lines[key]
    fitting = [line for line in lines if _fits(line, plan)]
    return [_filled(line, plan, rng) for line in rng.sample(fitting, count)]


def _fits(line: str, plan: Plan) -> bool:
    healthy = plan.condition.area == "healthy" or plan.condition.name == "Contraception"
    if healthy and _OF_PATIENTS.search(line):
        return False
    return plan.kind in _DRUG_LIKE or not _OF_DOSES.search(line)


def _filled(line: str, plan: Plan, rng: Random) -> str:
    return fill(line, rng, load_bank("body.yaml")["slots"], plan.values)


def _paragraph(sentences: list[str]) -> str:
    return " ".join(dict.fromkeys(capitalized(sentence) for sentence in sentences))


def _uncapitalized(text: str) -> str:
    """Lower case for a plain first word; abbreviations such as "PSA" keep theirs."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
