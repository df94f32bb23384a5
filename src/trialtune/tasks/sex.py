"""Which sex a trial is open to, read from its free text alone."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from trialtune.corpus.documents import clean

# The answer itself (`sex`) and the ages are structured fields: they never enter the text.
FIELDS = (
    "brief_title",
    "official_title",
    "conditions",
    "eligibility_criteria",
    "brief_summary",
    "detailed_description",
    "text",  # what a source without separate fields brings
)

# A published comparison also lists a class `None`: records of the old registry without an answer.
# Such rows hold nothing to learn, so they are counted as unlabelled instead.
LABELS = {
    "ALL": "Open to people of any sex.",
    "FEMALE": "Open to women or girls only.",
    "MALE": "Open to men or boys only.",
}

SYNONYMS = {
    **dict.fromkeys(("both", "any", "either", "male and female", "female and male", "male female"), "ALL"),
    **dict.fromkeys(("f", "woman", "women", "females", "female only"), "FEMALE"),
    **dict.fromkeys(("m", "man", "men", "males", "male only"), "MALE"),
}

_LONGEST = 4000  # characters; more than an encoder of 512 tokens reads

_NAME = r"(?:genders?|sex(?:es)?)(?:\s+eligible(?:\s+for\s+study)?)?(?:\s*\([^()\n]{1,30}\))?"
_ONE = (
    r"(?:females?|males?|women|woman|men|man|girls|boys|both|all|any|either|not\s+specified|n/a|[mf]\b)"
    r"(?:\s+(?:genders?(?!\s+based)|sex(?:es)?|only))?"
)
# A whole answer and nothing more: "Sex: Female", "* Gender Eligible for Study: Both", "Sex: M or F", and
# the old cancer records' run-on form "Age: 18 and over Sex: Female Menopausal status: ...". A
# sentence such as "Gender: male subjects who ..." is the sponsor's own criterion and stays.
_STRUCTURED = re.compile(
    rf"(?:^[ \t]*(?:[-*•]+|\d{{1,2}}[.)])?[ \t]*|(?<![\w/(-]))"
    rf"(?:{_NAME}\s*[:=]\s*(?:[-*•]\s*)?(?:both\s+)?{_ONE}(?:\s*(?:and/or|and|or|[/&,])\s*{_ONE})*"
    rf"|gender[ -]based\s*:\s*(?:yes|no)|(?:minimum|maximum)\s+age\s*:\s*(?:\d+\s+\w+|n/a))"
    rf"(?:[ \t]*[.;,]|(?=\s*$|\s*\(|\s+(?-i:[A-Z])[a-z]+(?:\s[a-z]+)*(?:\s*\([^()\n]*\))?:))",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING = re.compile(
    r"^\W*(?:\w+ ){0,2}?(?:inclusion|exclusion)(?: criteria)?\s*:?\s*$", re.IGNORECASE | re.MULTILINE
)
_BREAK = re.compile(r"\n+|(?<=[a-z)][.;]) +(?=[A-Z])")
_TELLING = re.compile(
    r"\b(?:(?:fe)?males?|wom[ae]n|m[ae]n|boys?|girls?|sex(?:es)?|genders?|pregnan\w*|lactat\w*"
    r"|breast-? ?feed\w*|nursing|contracept\w*|child-? ?bearing|\w*menopaus\w*|menstrua\w*"
    r"|prostat\w*|ovar\w*|uter\w*|cervi\w*|vagina\w*|testic\w*|vasectom\w*|hysterectom\w*|sperm\w*|erectile|penile|gyn\w*)\b",
    re.IGNORECASE,
)
_EXCLUSION = re.compile(r"\W*(?:\w+ ){0,2}?exclusion", re.IGNORECASE)


def build_text(row: Mapping[str, Any]) -> str:
    """Title, conditions, criteria (those that speak of sex first), then the rest, on one line.

    Encoders read a few hundred tokens, so what tells most comes first.
    """
    parts: list[str] = []
    for column in FIELDS:
        value = row.get(column)
        if not value or sum(map(len, parts)) > _LONGEST:
            continue
        text = value if isinstance(value, str) else ", ".join(value)
        text = strip_structured(clean(text[: 4 * _LONGEST]))
        if column == "conditions":
            text = text.replace("|", ", ")
        elif column == "eligibility_criteria":
            text = telling_first(text)
        if text and text not in parts:
            parts.append(text)
    sentences = (part if part[-1] in ".:;!?" else part + "." for part in parts)
    return " ".join(" ".join(sentences).split())[:_LONGEST].rstrip()


def strip_structured(text: str) -> str:
    """`text` without copies of the registry's structured answers ("Gender: All", "Sex: Female")."""
    return _STRUCTURED.sub("", text).strip()


def telling_first(criteria: str) -> str:
    """`criteria` with the sentences that speak of sex or pregnancy in front, each under its heading.

    Parts under an exclusion heading come after the others, and nothing is lost.
    """
    bounds = [*(match.start() for match in _HEADING.finditer(criteria)), len(criteria)]
    parts = [criteria[: bounds[0]]]  # what stands before the first heading counts as inclusion
    parts += [criteria[start:end] for start, end in pairwise(bounds)]
    telling: list[str] = []
    others: list[str] = []
    for part in sorted(parts, key=lambda part: bool(_EXCLUSION.match(part))):
        heading = match[0].strip() if (match := _HEADING.match(part)) else ""
        sentences = [
            line.strip() for line in _BREAK.split(part[len(match[0]) if match else 0 :]) if line.strip()
        ]
        for place, speaks in ((telling, True), (others, False)):
            chosen = [sentence for sentence in sentences if bool(_TELLING.search(sentence)) == speaks]
            if chosen:
                place.append("\n".join(filter(None, [heading, *chosen])))
    return "\n\n".join(telling + others)
