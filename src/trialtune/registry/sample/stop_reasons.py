"""Made-up answers to "Why Study Stopped", each with the labels its words state."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from trialtune.registry.sample.phrases import capitalized, fill, load_bank

Labels = tuple[str, ...]

_WITHDRAWN = re.compile(
    r"never|not take place|not start|nobody|zero|no (part|pat|accr|enr)|prior to|before enr", re.I
)
_SUSPENDED = re.compile(r"pending|awaiting|paused?\b|on hold|until|temporar|under (revision|repair)", re.I)
_AFTER_START = {
    "Endpoint_Met",
    "Insufficient_Data",
    "Interim_Analysis",
    "Negative",
    "Safety_Sideeffects",
    "Success",
}
_PANDEMIC_YEAR = 2020
# Labels whose texts say nothing else, so no framing such as "the study was stopped because".
_BARE = {"Invalid_Reason", "No_Context"}
_ABBREVIATIONS = (
    ("patients", "pts"),
    ("because", "b/c"),
    ("due to", "d/t"),
    ("principal investigator", "PI"),
    ("with", "w/"),
    ("enrollment", "enrolment"),
    ("recruitment", "recruiting"),
    (" and ", " & "),
    ("adverse events", "AEs"),
    ("standard of care", "SOC"),
    ("insufficient", "insuff."),
)


@dataclass(frozen=True)
class StopReason:
    """Text of a stopped trial's reason, its overall status and its labels in alphabetical order."""

    text: str
    status: str
    labels: Labels


def plan_labels(count: int, rng: Random) -> list[Labels]:
    """Label sets for `count` stopped trials, in the bank's shares, shuffled; rare sets are never left out."""
    weights = {tuple(key.split(", ")): weight for key, weight in _bank()["sets"].items()}
    total = sum(weights.values())
    sets = [labels for labels, weight in weights.items() for _ in range(round(count * weight / total))]
    rng.shuffle(sets)
    while len(sets) < count:
        sets.append(("Insufficient_Enrollment",))
    return [tuple(sorted(labels)) for labels in sets[:count]]


def write_reason(labels: Labels, year: int, rng: Random) -> StopReason:
    """A reason that states exactly `labels`, for a trial begun in `year`: a stock phrase or a sentence."""
    if len(labels) == 1 and rng.random() < 0.34:
        text = _stock_phrase(labels[0], rng)
        return StopReason(text, _status(text, labels, rng), labels)
    bank = _bank()
    style, core = _core(labels, rng)
    status = _status(core, labels, rng)
    if _BARE.intersection(labels):
        text = core
    else:
        hole = "cause" if style == "due" else "clause"
        values = {hole: core, "status": status.lower()}
        text = fill(rng.choice(bank["frames"][style]), rng, bank["slots"], values)
    if rng.random() < 0.2 and "No_Context" not in labels:
        barred = set(labels)
        if status == "WITHDRAWN" or _BARE.intersection(labels):
            barred.add("started")
        if year < _PANDEMIC_YEAR - 2:
            barred.add("Covid19")
        text = _with_aside(text, barred, rng)
    return StopReason(_soil(text, rng), status, labels)


def _bank() -> dict[str, Any]:
    return load_bank("stop_reasons")


def _stock_phrase(label: str, rng: Random) -> str:
    phrases: Sequence[str] = _bank()[label]["common"]
    # Falling weights: a registry has a few phrases that come back hundreds of times.
    phrase = rng.choices(phrases, [1 / (rank + 1) for rank in range(len(phrases))])[0]
    return phrase + rng.choice(("", "", "", "", "."))


def _core(labels: Labels, rng: Random) -> tuple[str, str]:
    """The words that state the labels: ("due", "slow accrual") or ("because", "accrual was slow")."""
    bank = _bank()
    style = "due" if rng.random() < 0.45 else "because"
    combined = bank["combined"].get(", ".join(labels)) or bank["combined"].get(", ".join(reversed(labels)))
    if combined and (rng.random() < 0.55 or "Interim_Analysis" in labels):
        return "because", fill(rng.choice(combined), rng, bank["slots"])
    if len(labels) == 1:
        return style, _phrase(labels[0], "causes" if style == "due" else "clauses", rng)
    order = rng.sample(labels, len(labels))
    values = {str(place): _phrase(label, "causes", rng) for place, label in enumerate(order)}
    values |= {"ABC"[place]: _phrase(label, "clauses", rng) for place, label in enumerate(order)}
    joins: Sequence[str] = bank["joins"]["two" if len(labels) == 2 else "three"]
    fitting = [join for join in joins if ("{A}" in join) == (style == "because")]
    return style, fill(rng.choice(fitting), rng, {}, values)


def _phrase(label: str, form: str, rng: Random) -> str:
    bank = _bank()
    return fill(rng.choice(bank[label][form]), rng, bank["slots"])


def _status(text: str, labels: Labels, rng: Random) -> str:
    if _SUSPENDED.search(text):
        return "SUSPENDED"
    if _AFTER_START.intersection(labels):
        return "TERMINATED"
    if _WITHDRAWN.search(text):
        return "WITHDRAWN"
    return rng.choices(("TERMINATED", "WITHDRAWN", "SUSPENDED"), (66, 29, 5))[0]


def _with_aside(text: str, barred: set[str], rng: Random) -> str:
    bank = _bank()
    fitting = [
        line
        for keys, lines in bank["asides"].items()
        if barred.isdisjoint(keys.split(", "))
        for line in lines
    ]
    aside = fill(rng.choice(fitting), rng, bank["slots"])
    shape = rng.choice(("{text}. {Aside}", "{text}; {aside}", "{text} ({aside})", "{Aside}. {Text}"))
    words = {"text": text, "Text": capitalized(text), "aside": aside, "Aside": capitalized(aside)}
    return shape.format(**words)


def _soil(text: str, rng: Random) -> str:
    """The text as hurried people type it: casing, points, abbreviations, and now and then a typing slip."""
    if rng.random() < 0.18:
        for long, short in rng.sample(_ABBREVIATIONS, 4):
            text = text.replace(long, short)
    if rng.random() < 0.12:
        text = _slip(text, rng)
    style = rng.random()
    if style < 0.05:
        text = text.upper()
    elif style < 0.75:
        text = ". ".join(capitalized(sentence) for sentence in text.split(". "))
    return text + ("." if rng.random() < 0.45 else "")


def _slip(text: str, rng: Random) -> str:
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if not long:
        return text
    place = rng.choice(long)
    word, at = words[place], rng.randrange(1, len(words[place]) - 2)
    slips = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )
    words[place] = rng.choice(slips)
    return " ".join(words)
