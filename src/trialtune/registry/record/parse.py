"""Parses a record: an API v2 study, or a flat row with columns under any known name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from trialtune.registry.record import enums, lists
from trialtune.registry.record.aliases import Columns, table_columns
from trialtune.registry.record.compose import composed, either
from trialtune.registry.record.dates import iso_date, order_is_open
from trialtune.registry.record.identifiers import identifier
from trialtune.registry.record.nested import flat_row, study_of
from trialtune.registry.record.notes import Notes, shown
from trialtune.registry.record.printed_lists import printed_list
from trialtune.registry.record.schema import COLUMNS, DATE_COLUMNS, LIST_COLUMNS, Record
from trialtune.registry.record.text import text_of
from trialtune.registry.record.tildes import Tildes, with_breaks
from trialtune.registry.record.validate import nct_id_of

_NOTHING: Mapping[str, Any] = {}
_LISTS: dict[str, Callable[[object], list[str]]] = {
    "conditions": lists.terms_of,
    "keywords": lists.terms_of,
    "interventions": lists.interventions_of,
    "arms": lists.arms_of,
    "primary_outcomes": lists.outcomes_of,
    "secondary_outcomes": lists.outcomes_of,
    "collaborators": lists.items_of,
    "countries": lists.items_of,
    "secondary_ids": lists.identifiers_of,
    "nct_aliases": lists.items_of,
}
_ANSWERS: dict[str, Callable[[object], Any]] = {
    "overall_status": enums.status_of,
    "study_type": enums.study_type_of,
    "sponsor_class": enums.sponsor_class_of,
    "enrollment": enums.count_of,
    "enrollment_type": enums.enrollment_type_of,
    "primary_purpose": enums.purpose_of,
    "allocation": enums.allocation_of,
    "masking": enums.masking_of,
    "has_results": enums.boolean_of,
    "is_fda_regulated": enums.boolean_of,
    "healthy_volunteers": enums.boolean_of,
}
_TEXTS: dict[str, Callable[[object], str | None]] = {
    "sex": enums.sex_of,
    "minimum_age": enums.age_of,
    "maximum_age": enums.age_of,
}


@dataclass(frozen=True)
class TableForm:
    """Properties of a whole table: the order of its date fields, its tildes and columns."""

    day_first: Mapping[str, bool] = field(default_factory=dict)
    tildes: Tildes | None = None
    columns: Columns | None = None


def record_from_study(study: Mapping[str, Any], notes: Notes | None = None) -> Record:
    """Snapshot row of one ClinicalTrials.gov API v2 study; a part of an unexpected type becomes null.

    `source`, `data_timestamp` and `row_hash` stay None: the import fills them in. `notes` collects what
    could not be read.
    """
    notes = Notes() if notes is None else notes
    protocol = _mapping(study, "protocolSection")
    identification = _mapping(protocol, "identificationModule")
    status = _mapping(protocol, "statusModule")
    description = _mapping(protocol, "descriptionModule")
    conditions = _mapping(protocol, "conditionsModule")
    design = _mapping(protocol, "designModule")
    design_info = _mapping(design, "designInfo")
    enrollment = _mapping(design, "enrollmentInfo")
    arms = _mapping(protocol, "armsInterventionsModule")
    outcomes = _mapping(protocol, "outcomesModule")
    eligibility = _mapping(protocol, "eligibilityModule")
    sponsors = _mapping(protocol, "sponsorCollaboratorsModule")
    lead = _mapping(sponsors, "leadSponsor")
    oversight = _mapping(protocol, "oversightModule")
    notes.version = text_of(
        _mapping(_mapping(study, "derivedSection"), "miscInfoModule").get("versionHolder")
    )
    read = notes.read

    def day(field: str, struct: str) -> str | None:
        return read(field, iso_date, _mapping(status, struct).get("date"))

    phases = design.get("phases")
    return {
        "nct_id": nct_id_of(identification.get("nctId")),
        "brief_title": text_of(identification.get("briefTitle")),
        "official_title": text_of(identification.get("officialTitle")),
        "brief_summary": text_of(description.get("briefSummary")),
        "detailed_description": text_of(description.get("detailedDescription")),
        "eligibility_criteria": text_of(eligibility.get("eligibilityCriteria")),
        "conditions": _texts(conditions.get("conditions")),
        "keywords": _texts(conditions.get("keywords")),
        "interventions": lists.unique(
            filter(None, map(lists.intervention_of, _entries(arms.get("interventions"))))
        ),
        "arms": lists.arms_of(_entries(arms.get("armGroups"))),
        "primary_outcomes": lists.outcomes_of(_entries(outcomes.get("primaryOutcomes"))),
        "secondary_outcomes": lists.outcomes_of(_entries(outcomes.get("secondaryOutcomes"))),
        "phases": _phases(phases, notes) if phases else [],
        "overall_status": read("overall_status", enums.status_of, status.get("overallStatus")),
        "study_type": read("study_type", enums.study_type_of, design.get("studyType")),
        "start_date": day("start_date", "startDateStruct"),
        "last_update_date": day("last_update_date", "lastUpdatePostDateStruct"),
        "why_stopped": text_of(status.get("whyStopped")),
        "sex": enums.sex_of(eligibility.get("sex")),
        "minimum_age": enums.age_of(eligibility.get("minimumAge")),
        "maximum_age": enums.age_of(eligibility.get("maximumAge")),
        "lead_sponsor": text_of(lead.get("name")),
        "sponsor_class": read("sponsor_class", enums.sponsor_class_of, lead.get("class")),
        "collaborators": _names(sponsors.get("collaborators"), "name"),
        "first_posted_date": day("first_posted_date", "studyFirstPostDateStruct"),
        "primary_completion_date": day("primary_completion_date", "primaryCompletionDateStruct"),
        "completion_date": day("completion_date", "completionDateStruct"),
        "enrollment": read("enrollment", enums.count_of, enrollment.get("count")),
        "enrollment_type": read("enrollment_type", enums.enrollment_type_of, enrollment.get("type")),
        "countries": _names(_mapping(protocol, "contactsLocationsModule").get("locations"), "country"),
        "secondary_ids": _identifiers(identification),
        "has_results": read("has_results", enums.boolean_of, study.get("hasResults")),
        "primary_purpose": read("primary_purpose", enums.purpose_of, design_info.get("primaryPurpose")),
        "allocation": read("allocation", enums.allocation_of, design_info.get("allocation")),
        "masking": read("masking", enums.masking_of, _mapping(design_info, "maskingInfo").get("masking")),
        "is_fda_regulated": either(
            oversight.get("isFdaRegulatedDrug"), oversight.get("isFdaRegulatedDevice")
        ),
        "healthy_volunteers": read(
            "healthy_volunteers", enums.boolean_of, eligibility.get("healthyVolunteers")
        ),
        "nct_aliases": _texts(identification.get("nctIdAliases")),
        "text": None,
        "source": None,
        "data_timestamp": None,
        "row_hash": None,
    }


def record_from_row(
    row: Mapping[str, Any], notes: Notes | None = None, form: TableForm = TableForm()
) -> Record:
    """Snapshot row of one flat row (CSV, Parquet, flat JSON) with columns under any known name.

    Nested values are found by name too; a row that holds an API study, whole or flattened, is that
    study. `form` has the properties of the whole table.
    """
    notes = Notes() if notes is None else notes
    if (study := study_of(row)) is not None:
        return record_from_study(study, notes)
    flat = flat_row(row)
    columns = form.columns if form.columns and flat is row else table_columns(tuple(flat))
    notes.columns, row = columns, flat
    held = {name: row[column] for name, column in columns.used.items()}
    cells = {name: value for name, value in held.items() if value is not None and value != ""}
    notes.version = text_of(cells.pop("version", None))
    record: Record = {name: [] if name in LIST_COLUMNS else None for name in COLUMNS}
    for name, value in composed(cells).items():
        record[name] = _field(name, value, notes, form)
    if columns.is_aact:
        with_breaks(record, form.tildes or Tildes.of(row))
    record["nct_id"] = nct_id_of(record["nct_id"])
    return record


def _field(name: str, value: object, notes: Notes, form: TableForm) -> object:
    if name == "phases":
        return _phases(value, notes)
    if name in _LISTS:
        return _LISTS[name](value)
    if name in _ANSWERS:
        return notes.read(name, _ANSWERS[name], value)
    if name in DATE_COLUMNS:
        if name not in form.day_first and order_is_open(value):
            notes.guessed.append((name, shown(str(value))))
        return notes.read(name, partial(iso_date, day_first=form.day_first.get(name, False)), value)
    return _TEXTS.get(name, text_of)(value)


def _phases(value: object, notes: Notes) -> list[str]:
    phases, unread = enums.read_phases(value)
    for unknown in unread:
        notes.unreadable("phases", unknown)
    return phases


def _mapping(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else _NOTHING


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    # The API's items are not split: a "|" or ";" in a condition's name is part of it.
    items = _listed(value) if isinstance(value, str | list) else [value]
    return lists.unique(filter(None, map(text_of, items)))


def _names(value: object, key: str) -> list[str]:
    # Many locations are in few countries.
    named = {name: None for entry in _entries(value) if type(name := entry.get(key)) is str}
    return lists.unique(filter(None, map(text_of, named))) if named else []


def _identifiers(identification: Mapping[str, Any]) -> list[str]:
    own = text_of(_mapping(identification, "orgStudyIdInfo").get("id"))
    first = [identifier(own, "org_study_id")] if own else []
    return [*first, *lists.identifiers_of(_entries(identification.get("secondaryIdInfos")))]


def _entries(value: object) -> list[dict[str, Any]]:
    if value is None:
        return []
    if isinstance(value, str):
        value = _listed(value)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _listed(value: str | list[Any]) -> list[Any]:
    """A list, or the list printed in a flattened study's cell."""
    if isinstance(value, list):
        return value
    printed = printed_list(value.strip())
    return [value] if printed is None else printed
