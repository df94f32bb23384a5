"""A record from what a source holds: an API v2 study, or a flat row whose columns go by any usual name."""

from collections.abc import Mapping
from typing import Any

from trialtune.registry.record import normalize
from trialtune.registry.record.aliases import columns_of
from trialtune.registry.record.schema import COLUMNS, LIST_COLUMNS, Record
from trialtune.registry.record.validate import nct_id_of

_READERS = {
    "conditions": normalize.terms_of,
    "keywords": normalize.terms_of,
    "interventions": normalize.interventions_of,
    "arms": normalize.items_of,
    "primary_outcomes": normalize.items_of,
    "secondary_outcomes": normalize.items_of,
    "phases": normalize.phases_of,
    "overall_status": normalize.status_of,
    "study_type": normalize.enum_of,
    "start_date": normalize.iso_date,
    "last_update_date": normalize.iso_date,
    "sex": normalize.sex_of,
    "minimum_age": normalize.age_of,
    "maximum_age": normalize.age_of,
    "source": normalize.short_text_of,
    "data_timestamp": normalize.short_text_of,
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
    text = normalize.text_of
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
        "phases": normalize.phases_of(design.get("phases")),
        "overall_status": normalize.status_of(status.get("overallStatus")),
        "study_type": normalize.enum_of(design.get("studyType")),
        "start_date": normalize.iso_date(_mapping(status, "startDateStruct").get("date")),
        "last_update_date": normalize.iso_date(_mapping(status, "lastUpdatePostDateStruct").get("date")),
        "why_stopped": text(status.get("whyStopped")),
        "sex": normalize.sex_of(eligibility.get("sex")),
        "minimum_age": normalize.age_of(eligibility.get("minimumAge")),
        "maximum_age": normalize.age_of(eligibility.get("maximumAge")),
        "text": None,
        "source": None,
        "data_timestamp": None,
        "row_hash": None,
    }


def record_from_row(row: Mapping[str, Any]) -> Record:
    """Snapshot row of one flat row (CSV, Parquet, flat JSON) whose columns go by any of their usual names."""
    record: Record = {name: [] if name in LIST_COLUMNS else None for name in COLUMNS}
    for field, column in columns_of(tuple(row)).items():
        value = row[column]
        if value is not None and value != "":
            record[field] = _READERS.get(field, normalize.text_of)(value)
    record["nct_id"] = nct_id_of(record["nct_id"])
    return record


def _mapping(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    # The API's items are taken as they are: a "|" or ";" in a condition's name is part of it.
    items = value if isinstance(value, list) else [value]
    return normalize.unique(text for text in map(normalize.text_of, items) if text)


def _interventions(value: object) -> list[str]:
    entries = ((entry.get("type"), normalize.text_of(entry.get("name"))) for entry in _entries(value))
    return normalize.unique(normalize.typed_name(kind, name) for kind, name in entries if name)


def _pairs(value: object, first: str, second: str) -> list[str]:
    rows = ([normalize.text_of(entry.get(key)) for key in (first, second)] for entry in _entries(value))
    return normalize.unique(": ".join(part for part in row if part) for row in rows if any(row))


def _entries(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
