"""Writes API v2 studies as other sources hold them: AACT's tables, the registry's old XML."""

import csv
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Tables = dict[str, list[list[str]]]

HEADERS = {
    "studies": "nct_id study_first_posted_date last_update_posted_date start_month_year start_date"
    " brief_title official_title overall_status study_type phase why_stopped source",
    "brief_summaries": "id nct_id description",
    "detailed_descriptions": "id nct_id description",
    "eligibilities": "id nct_id gender minimum_age maximum_age criteria",
    "conditions": "id nct_id name downcase_name",
    "keywords": "id nct_id name downcase_name",
    "interventions": "id nct_id intervention_type name description",
    "design_groups": "id nct_id group_type title description",
    "design_outcomes": "id nct_id outcome_type measure time_frame population description",
}


def aact_of(studies: Iterable[dict[str, Any]]) -> Tables:
    """The studies as AACT's tables hold them: ids count up, rows lie in some other order."""
    tables: Tables = {name: [] for name in HEADERS}
    for study in studies:
        _add(tables, study)
    return {name: sorted(rows, key=lambda row: row[-1][::-1]) for name, rows in tables.items()}


def _add(tables: Tables, study: dict[str, Any]) -> None:
    protocol = study["protocolSection"]
    modules = {name: protocol.get(f"{name}Module", {}) for name in MODULES}
    names, status, design = modules["identification"], modules["status"], modules["design"]
    nct_id = names["nctId"]
    start = status.get("startDateStruct", {}).get("date", "")

    def put(table: str, *cells: str | None) -> None:
        number = [] if table == "studies" else [str(len(tables[table]) + 1)]
        tables[table].append([*number, nct_id, *(cell or "" for cell in cells)])

    put(
        "studies",
        *("2001-01-01", status.get("lastUpdatePostDateStruct", {}).get("date"), start),
        *(start if len(start) == 10 else f"{start}-28", names.get("briefTitle"), names.get("officialTitle")),
        *(status.get("overallStatus"), design.get("studyType"), "/".join(design.get("phases", []))),
        *(status.get("whyStopped"), "Somebody"),
    )
    description, eligibility = modules["description"], modules["eligibility"]
    if text := description.get("briefSummary"):
        put("brief_summaries", text)
    if text := description.get("detailedDescription"):
        put("detailed_descriptions", text)
    ages = eligibility.get("minimumAge"), eligibility.get("maximumAge")
    put("eligibilities", eligibility.get("sex"), *ages, eligibility.get("eligibilityCriteria"))
    for table in ("conditions", "keywords"):
        for name in modules["conditions"].get(table, []):
            put(table, name, name.lower())
    for item in modules["armsInterventions"].get("interventions", []):
        put("interventions", item.get("type"), item.get("name"), item.get("description"))
    for item in modules["armsInterventions"].get("armGroups", []):
        put("design_groups", item.get("type"), item.get("label"), item.get("description"))
    for kind in ("primary", "secondary", "other"):
        for item in modules["outcomes"].get(f"{kind}Outcomes", []):
            put(
                "design_outcomes",
                kind,
                item.get("measure"),
                item.get("timeFrame"),
                "",
                item.get("description"),
            )


MODULES = (
    *("identification", "status", "description", "conditions", "design", "armsInterventions", "outcomes"),
    "eligibility",
)


def text_of(name: str, rows: list[list[str]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="|", lineterminator="\n")
    writer.writerows([HEADERS[name].split(), *rows])
    return stream.getvalue()


def write_folder(folder: Path, tables: Tables) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / f"{name}.txt").write_text(text_of(name, rows), encoding="utf-8")
    return folder


def write_zip(path: Path, tables: Tables) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in tables.items():
            archive.writestr(f"aact/{name}.txt", text_of(name, rows))
        archive.writestr("aact/README.txt", "notes")
    return path


def xml_of(study: dict[str, Any]) -> bytes:
    """The study as a file of the registry's old XML."""
    protocol = study["protocolSection"]
    modules = {name: protocol.get(f"{name}Module", {}) for name in MODULES}
    names, status, design = modules["identification"], modules["status"], modules["design"]
    description, eligibility = modules["description"], modules["eligibility"]
    root = ElementTree.Element("clinical_study")

    def put(path: str, text: str | None) -> None:
        if text:
            parent = root
            *outer, last = path.split("/")
            for tag in outer:
                found = parent.find(tag)
                parent = ElementTree.SubElement(parent, tag) if found is None else found
            ElementTree.SubElement(parent, last).text = text

    def put_item(tag: str, **parts: str | None) -> None:
        item = ElementTree.SubElement(root, tag)
        for name, text in parts.items():
            ElementTree.SubElement(item, name).text = text

    put("id_info/org_study_id", "X-1")
    put("id_info/nct_id", names["nctId"])
    put("brief_title", names.get("briefTitle"))
    put("official_title", names.get("officialTitle"))
    put("brief_summary/textblock", description.get("briefSummary"))
    put("detailed_description/textblock", description.get("detailedDescription"))
    put("overall_status", status.get("overallStatus", "").capitalize().replace("_", " "))
    put("why_stopped", status.get("whyStopped"))
    put("start_date", status.get("startDateStruct", {}).get("date"))
    put("phase", "/".join(phase.replace("PHASE", "Phase ") for phase in design.get("phases", [])))
    put("study_type", design.get("studyType", "").capitalize())
    for kind in ("primary", "secondary"):
        for item in modules["outcomes"].get(f"{kind}Outcomes", []):
            put_item(f"{kind}_outcome", measure=item.get("measure"), description=item.get("description"))
    for item in modules["conditions"].get("conditions", []):
        put("condition", item)
    for item in modules["armsInterventions"].get("armGroups", []):
        put_item("arm_group", arm_group_label=item.get("label"), description=item.get("description"))
    for item in modules["armsInterventions"].get("interventions", []):
        kind = item.get("type", "").replace("_", " ").title()
        put_item("intervention", intervention_type=kind, intervention_name=item.get("name"))
    put("eligibility/criteria/textblock", eligibility.get("eligibilityCriteria"))
    put("eligibility/gender", eligibility.get("sex", "").capitalize())
    put("eligibility/minimum_age", eligibility.get("minimumAge"))
    put("eligibility/maximum_age", eligibility.get("maximumAge") or "N/A")
    put("last_update_posted", status.get("lastUpdatePostDateStruct", {}).get("date"))
    for item in modules["conditions"].get("keywords", []):
        put("keyword", item)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
