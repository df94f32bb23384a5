"""One trial as a snapshot row: its columns, how to build it, its hash, and what makes it unusable."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa

from trialtune.registry import values

Record = dict[str, Any]

_LISTS = (
    "conditions",
    "keywords",
    "interventions",
    "arms",
    "primary_outcomes",
    "secondary_outcomes",
    "phases",
)
_COLUMNS = (
    *("nct_id", "brief_title", "official_title", "brief_summary", "detailed_description"),
    "eligibility_criteria",
    *_LISTS,
    *("overall_status", "study_type", "start_date", "last_update_date", "why_stopped", "sex"),
    *("minimum_age", "maximum_age", "text", "source", "data_timestamp", "row_hash"),
)
SNAPSHOT_SCHEMA = pa.schema(
    [pa.field(name, pa.list_(pa.string()) if name in _LISTS else pa.string()) for name in _COLUMNS]
)

#: Columns the hash covers: what the record says, not where it came from or when it was last touched.
CONTENT_FIELDS = tuple(
    name for name in _COLUMNS if name not in ("last_update_date", "source", "data_timestamp", "row_hash")
)
TEXT_FIELDS = (
    *("brief_title", "official_title", "brief_summary", "detailed_description", "eligibility_criteria"),
    *("conditions", "keywords", "interventions", "arms", "primary_outcomes", "secondary_outcomes"),
    *("why_stopped", "text"),
)
MAX_FIELD_CHARACTERS = 1_000_000
SEXES = ("ALL", "MALE", "FEMALE")

_NCT_ID = re.compile(r"NCT\d{8}", re.ASCII)

# Column names other exports use, compared in lower case and without punctuation; the first found wins.
_ALIASES: dict[str, tuple[str, ...]] = {
    "nct_id": (
        *("nctid", "nctnumber", "nctno", "nct", "nctcode", "nctidentifier", "clinicaltrialsgovidentifier"),
        *("clinicaltrialsgovid", "clinicaltrialid", "trialid", "trialnumber", "studyid", "id"),
    ),
    "brief_title": ("brieftitle", "studytitle", "title"),
    "official_title": ("officialtitle",),
    "brief_summary": ("briefsummary", "summary"),
    "detailed_description": ("detaileddescription", "description"),
    "eligibility_criteria": ("eligibilitycriteria", "eligibility", "criteria"),
    "conditions": ("conditions", "condition"),
    "keywords": ("keywords", "keyword"),
    "interventions": ("interventions", "intervention"),
    "arms": ("arms", "armgroups"),
    "primary_outcomes": ("primaryoutcomes", "primaryoutcomemeasures", "primaryoutcome"),
    "secondary_outcomes": ("secondaryoutcomes", "secondaryoutcomemeasures", "secondaryoutcome"),
    "phases": ("phases", "phase"),
    "overall_status": ("overallstatus", "studystatus", "recruitmentstatus", "status"),
    "study_type": ("studytype",),
    "start_date": ("startdate", "studystartdate"),
    "last_update_date": (
        *("lastupdatedate", "lastupdateposted", "lastupdatepostdate", "lastupdateposteddate"),
        "lastupdatesubmitdate",
    ),
    "why_stopped": ("whystopped", "whystudystopped", "stopreason"),
    "sex": ("sex", "gender"),
    "minimum_age": ("minimumage", "minage"),
    "maximum_age": ("maximumage", "maxage"),
    "text": ("text", "fulltext", "trialtext", "document", "content"),
    "source": ("source",),
    "data_timestamp": ("datatimestamp",),
}
_READERS = {
    "conditions": values.terms_of,
    "keywords": values.terms_of,
    "interventions": values.interventions_of,
    "arms": values.items_of,
    "primary_outcomes": values.items_of,
    "secondary_outcomes": values.items_of,
    "phases": values.phases_of,
    "overall_status": values.status_of,
    "study_type": values.enum_of,
    "start_date": values.iso_date,
    "last_update_date": values.iso_date,
    "sex": values.sex_of,
    "minimum_age": values.age_of,
    "maximum_age": values.age_of,
    "source": values.short_text_of,
    "data_timestamp": values.short_text_of,
}


def record_from_study(study: Mapping[str, Any]) -> Record:
    """Snapshot row of one ClinicalTrials.gov API v2 study; a part of another type than expected is unknown.

    `source`, `data_timestamp` and `row_hash` stay None: the import fills them in.
    """
    protocol = _mapping(study, "protocolSection")
    identification = _mapping(protocol, "identificationModule")
    status = _mapping(protocol, "statusModule")
    description = _mapping(protocol, "descriptionModule")
    conditions = _mapping(protocol, "conditionsModule")
    design = _mapping(protocol, "designModule")
    arms = _mapping(protocol, "armsInterventionsModule")
    outcomes = _mapping(protocol, "outcomesModule")
    eligibility = _mapping(protocol, "eligibilityModule")
    text = values.text_of
    return {
        "nct_id": nct_id_of(identification.get("nctId")),
        "brief_title": text(identification.get("briefTitle")),
        "official_title": text(identification.get("officialTitle")),
        "brief_summary": text(description.get("briefSummary")),
        "detailed_description": text(description.get("detailedDescription")),
        "eligibility_criteria": text(eligibility.get("eligibilityCriteria")),
        "conditions": _texts(conditions.get("conditions")),
        "keywords": _texts(conditions.get("keywords")),
        "interventions": _interventions(arms.get("interventions")),
        "arms": _pairs(arms.get("armGroups"), "label", "description"),
        "primary_outcomes": _pairs(outcomes.get("primaryOutcomes"), "measure", "description"),
        "secondary_outcomes": _pairs(outcomes.get("secondaryOutcomes"), "measure", "description"),
        "phases": values.phases_of(design.get("phases")),
        "overall_status": values.status_of(status.get("overallStatus")),
        "study_type": values.enum_of(design.get("studyType")),
        "start_date": values.iso_date(_mapping(status, "startDateStruct").get("date")),
        "last_update_date": values.iso_date(_mapping(status, "lastUpdatePostDateStruct").get("date")),
        "why_stopped": text(status.get("whyStopped")),
        "sex": values.sex_of(eligibility.get("sex")),
        "minimum_age": values.age_of(eligibility.get("minimumAge")),
        "maximum_age": values.age_of(eligibility.get("maximumAge")),
        "text": None,
        "source": None,
        "data_timestamp": None,
        "row_hash": None,
    }


def record_from_row(row: Mapping[str, Any]) -> Record:
    """Snapshot row of one flat row (CSV, Parquet, flat JSON) whose columns go by any of their usual names."""
    record: Record = {name: [] if name in _LISTS else None for name in _COLUMNS}
    for field, column in columns_of(tuple(row)).items():
        value = row[column]
        if value is not None and value != "":
            record[field] = _READERS.get(field, values.text_of)(value)
    record["nct_id"] = nct_id_of(record["nct_id"])
    return record


@lru_cache(maxsize=256)
def columns_of(names: tuple[str, ...]) -> dict[str, str]:
    """Which of the given column names holds each snapshot field."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(re.sub(r"[^a-z0-9]", "", str(name).lower()), name)
    found = {
        field: next((plain[alias] for alias in aliases if alias in plain), None)
        for field, aliases in _ALIASES.items()
    }
    return {field: column for field, column in found.items() if column is not None}


def nct_id_of(value: object) -> str | None:
    """The id without blanks, in capitals; the validator says whether it is one."""
    text = values.short_text_of(value)
    return text.upper() if text else None


def is_nct_id(value: object) -> bool:
    """Whether the value, blanks and case aside, is NCT and eight digits."""
    return isinstance(value, str) and _NCT_ID.fullmatch(value.strip().upper()) is not None


def content_hash(record: Mapping[str, Any]) -> str:
    """32 hex digits over `CONTENT_FIELDS` (BLAKE2b); the same content from another source hashes the same."""
    # Text holds no control characters, so these two separate items and fields without doubt.
    cells = (record.get(field) or "" for field in CONTENT_FIELDS)
    content = "\x1e".join("".join(f"{item}\x1f" for item in c) if isinstance(c, list) else c for c in cells)
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def problems(record: Mapping[str, Any]) -> list[str]:
    """Why the record cannot be used, each as "kind: detail"; empty for a good record."""
    found = []
    nct_id = record["nct_id"]
    if nct_id is None:
        found.append("no NCT id")
    elif not is_nct_id(nct_id):
        found.append(f"bad NCT id: {shown(nct_id)} (expected NCT and eight digits)")
    if not any(record[field] for field in TEXT_FIELDS):
        found.append("no text: every text field is empty")
    sex = record["sex"]
    if sex is not None and sex not in SEXES:
        found.append(f"unknown sex: {shown(sex)} (expected All, Male, Female or nothing)")
    whole = "\n".join(_flat(record.values()))
    if len(whole) > MAX_FIELD_CHARACTERS:
        found += _too_long(record)
    try:
        whole.encode()
    except UnicodeEncodeError:
        found += _undecodable(record)
    return found


def shown(value: str) -> str:
    """A value for a message: quoted, and cut when it is long."""
    return repr(value if len(value) <= 40 else value[:40] + "…")


def _too_long(record: Mapping[str, Any]) -> list[str]:
    sizes = {field: sum(map(len, _flat([value]))) for field, value in record.items()}
    return [
        f"field too long: {field} has {size:,} characters (at most {MAX_FIELD_CHARACTERS:,})"
        for field, size in sizes.items()
        if size > MAX_FIELD_CHARACTERS
    ]


def _undecodable(record: Mapping[str, Any]) -> list[str]:
    halves = {
        field: re.search("[\ud800-\udfff]", "\n".join(_flat([value]))) for field, value in record.items()
    }
    return [
        f"undecodable text: {field} holds U+{ord(half[0]):04X}, half a character or a byte that is not UTF-8"
        for field, half in halves.items()
        if half
    ]


def _flat(cells: Iterable[object]) -> Iterable[str]:
    for cell in cells:
        if isinstance(cell, str):
            yield cell
        elif isinstance(cell, list):
            yield from cell


def _mapping(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    # The API's items are taken as they are: a "|" or ";" in a condition's name is part of it.
    items = value if isinstance(value, list) else [value]
    return values.unique(text for text in map(values.text_of, items) if text)


def _interventions(value: object) -> list[str]:
    entries = ((entry.get("type"), values.text_of(entry.get("name"))) for entry in _entries(value))
    return values.unique(values.typed_name(kind, name) for kind, name in entries if name)


def _pairs(value: object, first: str, second: str) -> list[str]:
    rows = ([values.text_of(entry.get(key)) for key in (first, second)] for entry in _entries(value))
    return values.unique(": ".join(part for part in row if part) for row in rows if any(row))


def _entries(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
