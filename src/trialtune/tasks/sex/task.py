"""The sex a trial is open to, from its free text only."""

import re
from collections.abc import Mapping
from typing import Any

from trialtune.corpus.documents import clean
from trialtune.tasks.sex.cue_sentences import HINTS, NAMES, Snippets, divide_criteria, sentences
from trialtune.tasks.sex.keywords import KEYWORDS
from trialtune.tasks.sex.topics import topic_of
from trialtune.tasks.task import Task
from trialtune.tasks.text import ended

# The target (`sex`) and the ages are structured fields: they are never part of the text.
FIELDS = (
    "brief_title",
    "official_title",
    "conditions",
    "eligibility_criteria",
    "brief_summary",
    "detailed_description",
    "text",  # for sources without separate fields
)

# A published comparison also lists a class `None`: records of the old registry without a value.
# There is nothing to learn from such rows, so they are counted as unlabelled instead.
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

_LONGEST = 16_000  # characters of a field; nearly all are shorter
_SHORT = 8  # words of criteria kept whole: "No eligibility criteria" is informative too
_WORDS = 200  # of a text; about 280 tokens

_NAME = r"(?:genders?|sex(?:es)?)(?:\s+eligible(?:\s+for\s+study)?)?(?:\s*\([^()\n]{1,30}\))?"
_ONE = (
    r"(?:females?|males?|women|woman|men|man|girls|boys|both|all|any|either|not\s+specified|n/a|[mf]\b)"
    r"(?:\s+(?:genders?(?!\s+based)|sex(?:es)?|only))?"
)
# A complete structured value: "Sex: Female", "* Gender Eligible for Study: Both", "Sex: M or F", and
# the old cancer records' run-on form "Age: 18 and over Sex: Female Menopausal status: ...". A
# sentence such as "Gender: male subjects who ..." is the sponsor's own criterion and is kept.
_STRUCTURED = re.compile(
    rf"(?:^[ \t]*(?:[-*•]+|\d{{1,2}}[.)])?[ \t]*|(?<![\w/(-]))"
    rf"(?:{_NAME}\s*[:=]\s*(?:[-*•]\s*)?(?:both\s+)?{_ONE}(?:\s*(?:and/or|and|or|[/&,])\s*{_ONE})*"
    rf"|gender[ -]based\s*:\s*(?:yes|no)|(?:minimum|maximum)\s+age\s*:\s*(?:\d+\s+\w+|n/a))"
    rf"(?:[ \t]*[.;,]|(?=\s*$|\s*\(|\s+(?-i:[A-Z])[a-z]+(?:\s[a-z]+)*(?:\s*\([^()\n]*\))?:))",
    re.IGNORECASE | re.MULTILINE,
)


def build_text(record: Mapping[str, Any]) -> str:
    """Title, conditions, then the words around cues of sex or pregnancy, on one line.

    Encoders take a few hundred tokens, and a record may have thousands: of the rest only text on who
    may participate is kept, criteria before summaries, inclusion before exclusion and under its name, since
    "pregnant women" means the opposite under each. Criteria of a few words are kept whole, and a record
    without cues keeps its first sentences. Nine in ten records then fit 128 tokens. A short
    ready-made text is kept whole.
    """
    fields = {column: clean_field(record.get(column)) for column in FIELDS}
    if not any(fields[column] for column in FIELDS[:-1]) and len(fields["text"].split()) <= _WORDS:
        return " ".join(fields["text"].split())
    title, conditions = _first(fields["brief_title"], 40), _first(fields["conditions"].replace("|", ", "), 20)
    official, summary, description = (
        sentences(fields[column]) for column in ("official_title", "brief_summary", "detailed_description")
    )
    criteria = fields["eligibility_criteria"]
    telling = NAMES.search(criteria) or HINTS.search(criteria)
    short = criteria if len(criteria.split()) <= _SHORT and not telling else ""
    inclusion, exclusion = divide_criteria("" if short else criteria or fields["text"])
    found = Snippets(known=[title])
    found.take(official, NAMES, words=40)
    found.take(inclusion, NAMES, words=60, name="Inclusion:")
    found.take(inclusion, HINTS, words=40, name="Inclusion:", but=NAMES)
    found.take(exclusion, NAMES, words=40, name="Exclusion:")
    found.take(exclusion, HINTS, words=20, name="Exclusion:", but=NAMES)
    found.take(summary, NAMES, words=40, name="Summary:")
    found.take(description, NAMES, words=40, name="Description:")
    found.take([*summary, *description], HINTS, words=30, but=NAMES)
    rest = [] if found.pieces else [_first(" ".join([*official, *inclusion, *summary]), 60)]
    parts = [title, conditions, short and f"Criteria: {short}", *found.pieces, *rest]
    return _first(" ".join(ended(part) for part in parts if part), _WORDS)


def strip_structured(text: str) -> str:
    """`text` without copies of the registry's structured values ("Gender: All", "Sex: Female")."""
    return _STRUCTURED.sub("", text).strip()


def clean_field(value: str | list[str] | None) -> str:
    """One field, cleaned, without structured values; "" when there is none."""
    text = value if isinstance(value, str) else ", ".join(value or [])
    return strip_structured(clean(text[:_LONGEST]))


def _first(text: str, words: int) -> str:
    return " ".join(text.split()[:words])


SEX = Task(
    name="sex",
    kind="multi_class",
    labels=LABELS,
    max_length=256,
    fields=FIELDS,
    build_text=build_text,
    label_columns=("labels", "label", "sex", "gender"),
    synonyms=SYNONYMS,
    keywords=KEYWORDS,
    topic_of=topic_of,
)
