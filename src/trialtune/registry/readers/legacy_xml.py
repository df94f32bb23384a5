"""Rows of the registry's old XML: one `clinical_study` per file."""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from trialtune.registry.record.notes import Notes
from trialtune.registry.record.parse import record_from_study
from trialtune.registry.record.row import Row, bad_row, record_row


def xml_rows(label: str, number: int, content: bytes) -> Iterator[Row]:
    """The row of an XML file; entities are never expanded."""
    if not content.strip():
        yield bad_row(label, number, "empty: the file has no content; download it again", {})
        return
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, ValueError, LookupError) as error:
        kind = "forbidden XML" if isinstance(error, DefusedXmlException) else "broken XML"
        yield bad_row(
            label, number, f"{kind}: {error}", {"content": content[:2_000].decode("utf-8", "replace")}
        )
        return
    if root.tag != "clinical_study":
        yield bad_row(label, number, f"not a study: an XML <{root.tag}>, expected <clinical_study>", {})
    else:
        notes = Notes()
        yield record_row(label, number, record_from_study(_study(root), notes), notes)


_OUTCOME = {"measure": "measure", "description": "description", "timeFrame": "time_frame"}


def _study(root: Element) -> dict[str, Any]:
    """The study in the shape of the API v2, so that it is cleaned like any other."""
    enrollment = root.find("enrollment")
    protocol = {
        "identificationModule": {
            "nctId": root.findtext("id_info/nct_id"),
            "briefTitle": root.findtext("brief_title"),
            "officialTitle": root.findtext("official_title"),
            "nctIdAliases": [item.text for item in root.findall("id_info/nct_alias")],
            "orgStudyIdInfo": {"id": root.findtext("id_info/org_study_id")},
            "secondaryIdInfos": [{"id": item.text} for item in root.findall("id_info/secondary_id")],
        },
        "statusModule": {
            "overallStatus": root.findtext("overall_status"),
            "whyStopped": root.findtext("why_stopped"),
            "startDateStruct": {"date": root.findtext("start_date")},
            "primaryCompletionDateStruct": {"date": root.findtext("primary_completion_date")},
            "completionDateStruct": {"date": root.findtext("completion_date")},
            "studyFirstPostDateStruct": {"date": root.findtext("study_first_posted")},
            "lastUpdatePostDateStruct": {
                "date": root.findtext("last_update_posted") or root.findtext("lastchanged_date")
            },
        },
        "descriptionModule": {
            "briefSummary": root.findtext("brief_summary/textblock"),
            "detailedDescription": root.findtext("detailed_description/textblock"),
        },
        "conditionsModule": {
            "conditions": [item.text for item in root.findall("condition")],
            "keywords": [item.text for item in root.findall("keyword")],
        },
        "designModule": {
            "studyType": root.findtext("study_type"),
            "phases": root.findtext("phase"),
            "enrollmentInfo": {
                "count": root.findtext("enrollment"),
                "type": None if enrollment is None else enrollment.get("type"),
            },
            "designInfo": {
                "primaryPurpose": root.findtext("study_design_info/primary_purpose"),
                "allocation": root.findtext("study_design_info/allocation"),
                "maskingInfo": {"masking": root.findtext("study_design_info/masking")},
            },
        },
        "sponsorCollaboratorsModule": {
            "leadSponsor": {
                "name": root.findtext("sponsors/lead_sponsor/agency"),
                "class": root.findtext("sponsors/lead_sponsor/agency_class"),
            },
            "collaborators": [
                {"name": item.findtext("agency")} for item in root.findall("sponsors/collaborator")
            ],
        },
        "oversightModule": {
            "isFdaRegulatedDrug": root.findtext("oversight_info/is_fda_regulated_drug"),
            "isFdaRegulatedDevice": root.findtext("oversight_info/is_fda_regulated_device"),
        },
        "contactsLocationsModule": {
            "locations": [{"country": item.text} for item in root.findall("location_countries/country")]
        },
        "armsInterventionsModule": {
            "interventions": _items(
                root,
                "intervention",
                type="intervention_type",
                name="intervention_name",
                description="description",
            ),
            "armGroups": _items(root, "arm_group", label="arm_group_label", description="description"),
        },
        "outcomesModule": {
            "primaryOutcomes": _items(root, "primary_outcome", **_OUTCOME),
            "secondaryOutcomes": _items(root, "secondary_outcome", **_OUTCOME),
        },
        "eligibilityModule": {
            "eligibilityCriteria": root.findtext("eligibility/criteria/textblock"),
            "sex": root.findtext("eligibility/gender"),
            "minimumAge": root.findtext("eligibility/minimum_age"),
            "maximumAge": root.findtext("eligibility/maximum_age"),
            "healthyVolunteers": root.findtext("eligibility/healthy_volunteers"),
        },
    }
    return {"protocolSection": protocol, "hasResults": root.find("clinical_results") is not None}


def _items(root: Element, tag: str, **parts: str) -> list[dict[str, str | None]]:
    return [{key: item.findtext(part) for key, part in parts.items()} for item in root.findall(tag)]
