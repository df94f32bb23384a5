"""A trial's secondary ids, each with the kind of register or organization that issued it."""

import re
from functools import lru_cache

# EU numbers: in CTIS numbers the six digits begin with 5 (Regulation 536/2014), in EudraCT numbers not.
_BY_FORM = re.compile(
    r"(?P<UTN>U1111-\d{4}-\d{4})|(?P<ISRCTN>ISRCTN\d{8})|(?P<CTIS>20\d\d-5\d{5}-\d\d(?:-\d\d)?)"
    r"|(?P<EudraCT>(?:19|20)\d\d-\d{6}-\d\d)"
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
_KINDS = frozenset({OTHER, *_BY_FORM.groupindex, *_BY_TYPE.values()})


def identifier(value: str, kind: str | None = None) -> str:
    """An id with its kind as prefix: "EudraCT: 2004-000446-20".

    A UTN, ISRCTN, CTIS or EudraCT number is recognized by its format, whatever its type; another id
    gets the kind of the API's type (OTHER_GRANT, REGISTRY, ...); an existing prefix is kept.
    """
    head, colon, rest = value.partition(": ")
    if colon and head in _KINDS and rest:
        return value
    if match := _BY_FORM.fullmatch(value):
        return f"{match.lastgroup}: {value}"
    return f"{_kind_of(kind)}: {value}"


@lru_cache(maxsize=256)
def _kind_of(given: str | None) -> str:
    return _BY_TYPE.get(re.sub(r"[^A-Z]+", "_", (given or "").upper()).strip("_"), OTHER)
