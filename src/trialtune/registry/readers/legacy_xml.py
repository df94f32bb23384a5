"""Rows of the registry's old XML: one `clinical_study` a file."""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from trialtune.registry.record.parse import record_from_study
from trialtune.registry.record.row import Row, bad_row, record_row


def xml_rows(label: str, number: int, content: bytes) -> Iterator[Row]:
    """The row of an XML file; entities are never expanded."""
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
        yield record_row(label, number, record_from_study(_study(root)))


def _study(root: Element) -> dict[str, Any]:
    """The study in the shape of the API v2, so that it is cleaned as any other."""
    protocol = {
        "identificationModule": {
            "nctId": root.findtext("id_info/nct_id"),
            "briefTitle": root.findtext("brief_title"),
            "officialTitle": root.findtext("official_title"),
        },
        "statusModule": {
            "overallStatus": root.findtext("overall_status"),
            "whyStopped": root.findtext("why_stopped"),
            "startDateStruct": {"date": root.findtext("start_date")},
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
        "designModule": {"studyType": root.findtext("study_type"), "phases": root.findtext("phase")},
        "armsInterventionsModule": {
            "interventions": _items(root, "intervention", type="intervention_type", name="intervention_name"),
            "armGroups": _items(root, "arm_group", label="arm_group_label", description="description"),
        },
        "outcomesModule": {
            "primaryOutcomes": _items(root, "primary_outcome", measure="measure", description="description"),
            "secondaryOutcomes": _items(
                root, "secondary_outcome", measure="measure", description="description"
            ),
        },
        "eligibilityModule": {
            "eligibilityCriteria": root.findtext("eligibility/criteria/textblock"),
            "sex": root.findtext("eligibility/gender"),
            "minimumAge": root.findtext("eligibility/minimum_age"),
            "maximumAge": root.findtext("eligibility/maximum_age"),
        },
    }
    return {"protocolSection": protocol}


def _items(root: Element, tag: str, **parts: str) -> list[dict[str, str | None]]:
    return [{key: item.findtext(part) for key, part in parts.items()} for item in root.findall(tag)]
