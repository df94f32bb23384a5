"""The sex that a record's title and inclusion criteria state explicitly."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from trialtune.tasks.sex.cue_sentences import divide_criteria, sentences
from trialtune.tasks.sex.task import FIELDS, clean_field

# "Man" alone often means people, MEN is also a syndrome.
_FEMALE = re.compile(r"\b(?:females?|wom[ae]n|girls?|ladies)\b", re.IGNORECASE)
_MALE = re.compile(r"\b(?:males?|(?!(?-i:MEN))men|boys?)\b", re.IGNORECASE)
_ANY = re.compile(
    r"\b(?:(?:either|both|any|all) (?:sex|gender)(?:es|s)?"
    r"|(?:regardless|irrespective) of (?:(?:age|race|ethnicity)[, ]+(?:and|or)? ?)*(?:sex|gender))\b",
    re.IGNORECASE,
)
# Sentences about some of the participants, and laboratory values by sex.
_SOME = re.compile(
    r"\b(?:child-? ?bearing|potential|contracept\w*|birth control|negative|tests?|agree\w*|encouraged|may|can"
    r"|also|unless|if|most|some|affected|inheritance|for (?:fe)?males|for (?:wo)?men|sterili[sz]\w*|sperm"
    r"|donat\w*|postmenopausal, defined)\b"
    r"|\b(?:(?:fe)?males?|(?:wo)?men)\s*[:≥≤<>=(]|[≥≤<>=]\s*\d+[^.;]*\b(?:g|mg|ml)/",
    re.IGNORECASE,
)
# Sentences not about the participants, or not only about mothers.
_KIN = re.compile(
    r"\b(?:partners?|couples?|wives|wife|husbands?|mothers?|maternal|fathers?|parents?|famil(?:y|ies|ial)"
    r"|siblings?|brothers?|sisters?|infants?|bab(?:y|ies)|newborns?|neonat\w*|offspring|off-spring|born"
    r"|child(?:ren)?)\b",
    re.IGNORECASE,
)
_PARTNERS = re.compile(r"\b(?:(?:fe)?male|wom[ae]n) (?:sexual )?partners?\b", re.IGNORECASE)
# Which sex the registry means by these is the sponsor's choice.
_TRANS = re.compile(
    r"\btrans-?(?:gender|wom[ae]n|m[ae]n|sexual)\w*|\b(?:fe)?male-to-(?:fe)?male\b", re.IGNORECASE
)


class Statement(NamedTuple):
    """A label of the sex task and the sentences that state it; no sentence contradicts them."""

    label: str
    sentences: list[str]


def stated_sex(row: Mapping[str, Any]) -> Statement | None:
    """The sex stated in the title and inclusion criteria of a snapshot row, None when absent or ambiguous.

    One sex counts when some sentence names it without a condition ("women of childbearing potential
    must ..." says nothing about men), when no sentence there, in the conditions or the summary names
    the other, and when the title is not about couples, families, or mothers and their children.
    """
    fields = {column: clean_field(row.get(column)) for column in FIELDS}
    inclusion, _ = divide_criteria(fields["eligibility_criteria"])
    titles = [*sentences(fields["brief_title"]), *sentences(fields["official_title"])]
    told = [(sentence, names(_PARTNERS.sub("", sentence))) for sentence in (*inclusion, *titles)]
    if any(_TRANS.search(sentence) for sentence, _ in told):
        return None
    if both := [sentence for sentence, label in told if label == "ALL"]:
        return Statement("ALL", both)
    beside = [names(sentence) for sentence in (*sentences(fields["brief_summary"]), fields["conditions"])]
    one = {label for sentence, label in told if label and not _KIN.search(sentence)}
    if len(one | set(filter(None, beside))) != 1 or _KIN.search(" ".join([*titles, fields["conditions"]])):
        return None
    plain = [
        sentence
        for sentence, label in told
        if {label} == one and not _SOME.search(sentence) and not _KIN.search(sentence)
    ]
    return Statement(one.pop(), plain) if plain else None


def names(sentence: str) -> str | None:
    """The label whose sex a sentence names, None when it names none."""
    female, male = bool(_FEMALE.search(sentence)), bool(_MALE.search(sentence))
    if (female and male) or _ANY.search(sentence):
        return "ALL"
    return "FEMALE" if female else "MALE" if male else None
