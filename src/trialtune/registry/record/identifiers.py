"""A trial's ids beside its NCT id, each with the kind of register or body it comes from."""

import re

_BY_FORM = (
    ("UTN", re.compile(r"U1111-\d{4}-\d{4}")),
    ("ISRCTN", re.compile(r"ISRCTN\d{8}")),
    # EU numbers: CTIS numbers have 5 at the head of six digits (Regulation 536/2014), EudraCT numbers none.
    ("CTIS", re.compile(r"20\d\d-5\d{5}-\d\d(?:-\d\d)?")),
    ("EudraCT", re.compile(r"(?:19|20)\d\d-\d{6}-\d\d")),
)
_BY_TYPE = {
    "ORG_STUDY_ID": "Org Study ID",
    "EUDRACT_NUMBER": "EudraCT",
    "CTIS": "CTIS",
    "REGISTRY": "Registry",
    "NIH": "Grant",
    "FDA": "Grant",
    "VA": "Grant",
    "CDC": "Grant",
    "AHRQ": "Grant",
    "SAMHSA": "Grant",
    "OTHER_GRANT": "Grant",
}
OTHER = "Other"
_KINDS = frozenset({OTHER, *(kind for kind, _ in _BY_FORM), *_BY_TYPE.values()})


def identifier(value: str, kind: str | None = None) -> str:
    """An id behind its kind, as "EudraCT: 2004-000446-20".

    A UTN, ISRCTN, CTIS or EudraCT number is known by its form, whatever the record calls it; another id
    has the kind that the API's type (OTHER_GRANT, REGISTRY, ...) says; an id that has a kind keeps it.
    """
    head, colon, rest = value.partition(": ")
    if colon and head in _KINDS and rest:
        return value
    for name, form in _BY_FORM:
        if form.fullmatch(value):
            return f"{name}: {value}"
    name = _BY_TYPE.get(re.sub(r"[^A-Z]+", "_", (kind or "").upper()).strip("_"), OTHER)
    return f"{name}: {value}"
