"""How a made-up trial says which sex it enrolls: plainly, in passing, or hardly at all."""

import re
from dataclasses import dataclass, field
from random import Random

from trialtune.registry.sample.conditions import Condition, all_conditions
from trialtune.registry.sample.phrases import capitalized, fill, load_bank

SHARES = {"ALL": 0.70, "FEMALE": 0.16, "MALE": 0.14}
_NOUN = re.compile(
    r"\b(patients|people|adults|volunteers|couples|pregnancies|children|infants|adolescents)\b"
)
_ADJECTIVE = {"FEMALE": "female", "MALE": "male", "ALL": "male and female"}


@dataclass
class SexText:
    """Everything a record says about sex, to be mixed among its other sentences."""

    people: str
    sentences: list[str] = field(default_factory=list)
    inclusion: list[str] = field(default_factory=list)
    exclusion: list[str] = field(default_factory=list)


def plan_sexes(count: int, rng: Random) -> list[str]:
    """The sexes of `count` trials in their shares, shuffled."""
    sexes = [sex for sex, share in SHARES.items() if sex != "ALL" for _ in range(round(count * share))]
    sexes += ["ALL"] * (count - len(sexes))
    rng.shuffle(sexes)
    return sexes


def choose_condition(sex: str, year: int, rng: Random) -> Condition:
    """A condition for a trial of that sex; most single-sex trials are about conditions of both sexes."""
    possible = [condition for condition in all_conditions() if condition.since <= year]
    one_sexed = [condition for condition in possible if condition.sex]
    shared = [condition for condition in possible if not condition.sex]
    if sex == "ALL":
        return rng.choice(one_sexed if rng.random() < 0.07 else shared)
    if rng.random() < 0.33:
        return rng.choice([condition for condition in one_sexed if condition.sex == sex])
    return rng.choices(shared, [2 if condition.lean == sex else 1 for condition in shared])[0]


def write_sex(sex: str, condition: Condition, ages: dict[str, str], rng: Random) -> SexText:
    """Sentences and criteria on sex: cues that settle it, and mentions that do not."""
    text = SexText(condition.people)
    if sex == "ALL":
        _tell_all(text, condition, ages, rng)
    else:
        _tell_one(text, sex, condition, ages, rng)
    if not condition.of_children and not condition.pregnant:
        _mention(text, sex, ages, rng)
    return text


def _tell_all(text: SexText, condition: Condition, ages: dict[str, str], rng: Random) -> None:
    if condition.sex:
        partners = load_bank("sex.yaml")["partners"]
        text.people += " and their partners"
        text.sentences.append(rng.choice(partners["told"]))
        text.inclusion.append(rng.choice(partners["eligible"]))
        return
    if rng.random() < 0.12:
        text.people = _people_of("ALL", condition, rng)
    if rng.random() < 0.15:
        text.sentences.append(_line("told", "ALL", ages, rng, text.people))
    if rng.random() < 0.30:
        text.inclusion.append(_line(_eligible(condition), "ALL", ages, rng))


def _tell_one(text: SexText, sex: str, condition: Condition, ages: dict[str, str], rng: Random) -> None:
    # Where the condition itself tells the sex, registries often say no more.
    chances = {"eligible": 0.35} if condition.sex else {"eligible": 0.6, "barred": 0.22, "told": 0.25}
    ways = [way for way, chance in chances.items() if rng.random() < chance]
    renamed = rng.random() < 0.2
    if not ways and not renamed and not condition.sex:
        ways = [rng.choice(("eligible", "eligible", "barred", "told"))]
    if renamed:
        text.people = _people_of(sex, condition, rng)
    for way in ways:
        place = {"eligible": text.inclusion, "barred": text.exclusion, "told": text.sentences}[way]
        bank = _eligible(condition) if way == "eligible" else way
        place.append(_line(bank, sex, ages, rng, text.people))


def _mention(text: SexText, sex: str, ages: dict[str, str], rng: Random) -> None:
    for place, bank in ((text.inclusion, "beside_inclusion"), (text.exclusion, "beside_exclusion")):
        for chance in (0.65, 0.25):
            # Sponsors paste criteria from protocols that took both sexes.
            kind = "ALL" if rng.random() < 0.25 else sex
            line = _line(bank, kind, ages, rng)
            if rng.random() < chance and line not in place:
                place.append(line)
    if not text.sentences and rng.random() < 0.35:
        text.sentences.append(fill(rng.choice(load_bank("sex.yaml")["beside_summary"]), rng, {}))


def _eligible(condition: Condition) -> str:
    return "eligible_children" if condition.of_children else "eligible"


def _line(bank: str, sex: str, ages: dict[str, str], rng: Random, people: str = "patients") -> str:
    values = {**ages, "n": str(rng.choice((4, 6, 8, 12, 24, 30))), "People": capitalized(people)}
    return fill(rng.choice(load_bank("sex.yaml")[bank][sex]), rng, {}, values)


def _people_of(sex: str, condition: Condition, rng: Random) -> str:
    """The condition's people under the name of a sex: "patients with gout" become "men with gout"."""
    bank = load_bank("sex.yaml")
    noun = bank["children"][sex] if condition.of_children else rng.choice(bank["nouns"][sex])
    renamed, count = _NOUN.subn(noun, condition.people, count=1)
    return renamed if count else f"{_ADJECTIVE[sex]} {condition.people}"
