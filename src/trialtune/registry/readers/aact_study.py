"""Combines a trial's rows in AACT's tables into a study of the API v2."""

from collections.abc import Iterable, Mapping
from typing import Any

from trialtune.registry.readers.trial_rows import Cells, TrialRows
from trialtune.registry.record.compose import either
from trialtune.registry.record.tildes import Tildes

#: Tables with one row per trial.
ONE_A_TRIAL = ("brief_summaries", "detailed_descriptions", "eligibilities", "designs", "calculated_values")


def study_of_tables(cells: Cells, tables: Mapping[str, TrialRows], tildes: Tildes) -> dict[str, Any]:
    """The trial in the shape of the API v2, so that it is cleaned like any other."""
    nct_id = cells["nct_id"]

    def rows(table: str, *names: str) -> Iterable[tuple[Any, ...]]:
        return tables[table].cells(nct_id, *names) if table in tables else ()

    summary, description, eligibility, design, values = (
        tables[table].first(nct_id) if table in tables else {} for table in ONE_A_TRIAL
    )
    outcomes: dict[str, list[Cells]] = {}
    parts = ("outcome_type", "measure", "description", "time_frame")
    for kind, measure, text, frame in rows("design_outcomes", *parts):
        outcome = {"measure": measure, "description": tildes.broken(text), "timeFrame": frame}
        outcomes.setdefault(str(kind).strip().lower(), []).append(outcome)
    ids, aliases = _ids(rows("id_information", "id_source", "id_type", "id_value"))
    lead, collaborators = _sponsors(rows("sponsors", "lead_or_collaborator", "name", "agency_class"))

    def day(name: str) -> dict[str, Any]:
        # AACT's start_date turns a month into its last day; the other column has the original value.
        return {"date": cells.get(f"{name}_month_year") or cells.get(f"{name}_date")}

    protocol = {
        "identificationModule": {
            "nctId": nct_id,
            "briefTitle": cells.get("brief_title"),
            "officialTitle": cells.get("official_title"),
            "nctIdAliases": aliases,
            "secondaryIdInfos": ids,
        },
        "statusModule": {
            "overallStatus": cells.get("overall_status"),
            "whyStopped": tildes.broken(cells.get("why_stopped")),
            "startDateStruct": day("start"),
            "primaryCompletionDateStruct": day("primary_completion"),
            "completionDateStruct": day("completion"),
            "studyFirstPostDateStruct": {"date": cells.get("study_first_posted_date")},
            "lastUpdatePostDateStruct": {
                "date": cells.get("last_update_posted_date") or cells.get("last_changed_date")
            },
        },
        "sponsorCollaboratorsModule": {
            # AACT's `source` is the lead sponsor.
            "leadSponsor": lead or {"name": cells.get("source"), "class": cells.get("source_class")},
            "collaborators": collaborators,
        },
        "oversightModule": {
            "isFdaRegulatedDrug": cells.get("is_fda_regulated_drug"),
            "isFdaRegulatedDevice": cells.get("is_fda_regulated_device"),
        },
        "descriptionModule": {
            "briefSummary": tildes.broken(summary.get("description")),
            "detailedDescription": tildes.broken(description.get("description")),
        },
        "conditionsModule": {
            table: [name for (name,) in rows(table, "name")] for table in ("conditions", "keywords")
        },
        "designModule": {
            "studyType": cells.get("study_type"),
            "phases": cells.get("phase"),
            "designInfo": {
                "primaryPurpose": design.get("primary_purpose"),
                "allocation": design.get("allocation"),
                "maskingInfo": {"masking": design.get("masking")},
            },
            "enrollmentInfo": {"count": cells.get("enrollment"), "type": cells.get("enrollment_type")},
        },
        "armsInterventionsModule": {
            "interventions": [
                {"type": kind, "name": name, "description": tildes.broken(text)}
                for kind, name, text in rows("interventions", "intervention_type", "name", "description")
            ],
            "armGroups": [
                {"label": label, "description": tildes.broken(text)}
                for label, text in rows("design_groups", "title", "description")
            ],
        },
        "outcomesModule": {
            "primaryOutcomes": outcomes.get("primary"),
            "secondaryOutcomes": outcomes.get("secondary"),
        },
        "eligibilityModule": {
            "eligibilityCriteria": tildes.broken(eligibility.get("criteria")),
            "sex": eligibility.get("gender"),
            "minimumAge": eligibility.get("minimum_age"),
            "maximumAge": eligibility.get("maximum_age"),
            "healthyVolunteers": eligibility.get("healthy_volunteers"),
        },
        "contactsLocationsModule": {
            "locations": [
                {"country": name}
                for name, removed in rows("countries", "name", "removed")
                if not either(removed)
            ]
        },
    }
    return {"protocolSection": protocol, "hasResults": values.get("were_results_reported")}


def _ids(rows: Iterable[tuple[Any, ...]]) -> tuple[list[Cells], list[str]]:
    """The trial's other ids, and its former NCT ids; exports before 2022 have no id_source."""
    ids, aliases = [], []
    for source, kind, value in rows:
        source = str(source or kind or "").lower()  # noqa: PLW2901
        if source == "nct_alias":
            aliases.append(str(value))
        else:
            ids.append({"id": value, "type": source if source == "org_study_id" else kind})
    return ids, aliases


def _sponsors(rows: Iterable[tuple[Any, ...]]) -> tuple[Cells | None, list[Cells]]:
    lead = None
    others = []
    for part, name, kind in rows:
        if str(part).lower() == "lead":
            lead = {"name": name, "class": kind}
        else:
            others.append({"name": name})
    return lead, others
