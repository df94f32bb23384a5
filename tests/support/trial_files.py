"""Writes API v2 studies as other sources hold them: AACT's tables, the registry's old XML."""

import csv
import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq

Tables = dict[str, list[list[str]]]

HEADERS = {
    "studies": "nct_id study_first_posted_date last_update_posted_date start_month_year start_date"
    " brief_title official_title overall_status study_type phase why_stopped source"
    " primary_completion_month_year primary_completion_date completion_month_year completion_date"
    " enrollment enrollment_type is_fda_regulated_drug is_fda_regulated_device",
    "brief_summaries": "id nct_id description",
    "detailed_descriptions": "id nct_id description",
    "eligibilities": "id nct_id gender minimum_age maximum_age healthy_volunteers criteria",
    "conditions": "id nct_id name downcase_name",
    "keywords": "id nct_id name downcase_name",
    "interventions": "id nct_id intervention_type name description",
    "design_groups": "id nct_id group_type title description",
    "design_outcomes": "id nct_id outcome_type measure time_frame population description",
    "sponsors": "id nct_id agency_class lead_or_collaborator name",
    "countries": "id nct_id name removed",
    "id_information": "id nct_id id_source id_type id_type_description id_link id_value",
    "designs": "id nct_id primary_purpose allocation masking",
    "calculated_values": "id nct_id were_results_reported",
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

    def put(table: str, *cells: object) -> None:
        number = [] if table == "studies" else [str(len(tables[table]) + 1)]
        tables[table].append([*number, nct_id, *("" if cell is None else str(cell) for cell in cells)])

    def flag(value: bool | None) -> str:
        return "" if value is None else "t" if value else "f"

    def dates(name: str) -> tuple[str, str]:
        month = day(status, name)
        return month, month if len(month) == 10 else f"{month}-28" if month else ""

    enrollment, info = design.get("enrollmentInfo", {}), design.get("designInfo", {})
    lead = modules["sponsorCollaborators"].get("leadSponsor", {})
    put(
        "studies",
        *(day(status, "studyFirstPost"), day(status, "lastUpdatePost"), start),
        *(start if len(start) == 10 else f"{start}-28", names.get("briefTitle"), names.get("officialTitle")),
        *(status.get("overallStatus"), design.get("studyType"), "/".join(design.get("phases", []))),
        *(status.get("whyStopped"), lead.get("name")),
        *(*dates("primaryCompletion"), *dates("completion")),
        *(enrollment.get("count"), enrollment.get("type")),
        flag(modules["oversight"].get("isFdaRegulatedDrug")),
        flag(modules["oversight"].get("isFdaRegulatedDevice")),
    )
    if lead:
        put("sponsors", lead.get("class"), "lead", lead.get("name"))
    for item in modules["sponsorCollaborators"].get("collaborators", []):
        put("sponsors", item.get("class"), "collaborator", item.get("name"))
    places = (item.get("country") for item in modules["contactsLocations"].get("locations", []))
    for country in dict.fromkeys(places):
        put("countries", country, "f")
    put("countries", "Atlantis", "t")
    if own := names.get("orgStudyIdInfo", {}).get("id"):
        put("id_information", "org_study_id", "", "", "", own)
    for item in names.get("secondaryIdInfos", []):
        put("id_information", "secondary_id", item.get("type"), item.get("domain"), "", item.get("id"))
    for alias in names.get("nctIdAliases", []):
        put("id_information", "nct_alias", "", "", "", alias)
    masking = info.get("maskingInfo", {}).get("masking")
    put("designs", info.get("primaryPurpose"), info.get("allocation"), masking)
    put("calculated_values", flag(study.get("hasResults")))
    description, eligibility = modules["description"], modules["eligibility"]
    if text := description.get("briefSummary"):
        put("brief_summaries", text)
    if text := description.get("detailedDescription"):
        put("detailed_descriptions", text)
    ages = eligibility.get("minimumAge"), eligibility.get("maximumAge")
    healthy = flag(eligibility.get("healthyVolunteers"))
    put("eligibilities", eligibility.get("sex"), *ages, healthy, eligibility.get("eligibilityCriteria"))
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
    *("eligibility", "sponsorCollaborators", "oversight", "contactsLocations"),
)


def day(status: dict[str, Any], name: str) -> str:
    """The date of `statusModule`.nameDateStruct, empty when there is none."""
    return str(status.get(f"{name}DateStruct", {}).get("date", ""))


DELIMITERS = {".txt": "|", ".csv": ",", ".tsv": "\t"}


def text_of(name: str, rows: list[list[str]], delimiter: str = "|") -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerows([HEADERS[name].split(), *rows])
    return stream.getvalue()


def exported(text: str) -> str:
    """A table's text as AACT's exporter leaves it: no doubled quotes, and "~" for breaks inside cells."""
    quoted, pieces = False, []
    for piece in re.split(r'(""|"|\n)', text):
        if piece == '""':
            continue
        quoted ^= piece == '"'
        pieces.append("~" if piece == "\n" and quoted else piece)
    return "".join(pieces)


def write_folder(folder: Path, tables: Tables, suffix: str = ".txt") -> Path:
    """A file a table, delimited as its suffix says, or Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        if suffix == ".parquet":
            columns = zip(*rows, strict=True) if rows else [()] * len(HEADERS[name].split())
            cells = dict(zip(HEADERS[name].split(), map(list, columns), strict=True))
            pq.write_table(pa.table(cells), folder / f"{name}.parquet")
        else:
            text = text_of(name, rows, DELIMITERS[suffix])
            (folder / f"{name}{suffix}").write_text(text, encoding="utf-8")
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

    put("id_info/org_study_id", names.get("orgStudyIdInfo", {}).get("id"))
    for item in names.get("secondaryIdInfos", []):
        put("id_info/secondary_id", item["id"])
    put("id_info/nct_id", names["nctId"])
    for alias in names.get("nctIdAliases", []):
        put("id_info/nct_alias", alias)
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
            put_item(
                f"{kind}_outcome",
                measure=item.get("measure"),
                time_frame=item.get("timeFrame"),
                description=item.get("description"),
            )
    for item in modules["conditions"].get("conditions", []):
        put("condition", item)
    for item in modules["armsInterventions"].get("armGroups", []):
        put_item("arm_group", arm_group_label=item.get("label"), description=item.get("description"))
    for item in modules["armsInterventions"].get("interventions", []):
        kind = item.get("type", "").replace("_", " ").title()
        put_item(
            "intervention",
            intervention_type=kind,
            intervention_name=item.get("name"),
            description=item.get("description"),
        )
    put("eligibility/criteria/textblock", eligibility.get("eligibilityCriteria"))
    put("eligibility/gender", eligibility.get("sex", "").capitalize())
    put("eligibility/minimum_age", eligibility.get("minimumAge"))
    put("eligibility/maximum_age", eligibility.get("maximumAge") or "N/A")
    put("last_update_posted", status.get("lastUpdatePostDateStruct", {}).get("date"))
    for item in modules["conditions"].get("keywords", []):
        put("keyword", item)
    lead = modules["sponsorCollaborators"].get("leadSponsor", {})
    put("sponsors/lead_sponsor/agency", lead.get("name"))
    put("sponsors/lead_sponsor/agency_class", {"FED": "U.S. Fed"}.get(lead.get("class"), lead.get("class")))
    for item in modules["sponsorCollaborators"].get("collaborators", []):
        sponsors = root.find("sponsors")
        assert sponsors is not None
        collaborator = ElementTree.SubElement(sponsors, "collaborator")
        ElementTree.SubElement(collaborator, "agency").text = item.get("name")
    for name in ("primary_completion", "completion"):
        camel = "primaryCompletion" if name.startswith("primary") else name
        put(f"{name}_date", day(status, camel))
    put("study_first_posted", day(status, "studyFirstPost"))
    info, enrollment = design.get("designInfo", {}), design.get("enrollmentInfo", {})
    for tag, value in (
        ("primary_purpose", info.get("primaryPurpose")),
        ("allocation", info.get("allocation")),
        ("masking", info.get("maskingInfo", {}).get("masking")),
    ):
        put(f"study_design_info/{tag}", (value or "").replace("_", " ").capitalize())
    if "count" in enrollment:
        put("enrollment", str(enrollment["count"]))
        root[-1].set("type", enrollment.get("type", "").replace("ESTIMATED", "Anticipated").capitalize())
    for name in ("drug", "device"):
        answer = modules["oversight"].get(f"isFdaRegulated{name.capitalize()}")
        put(f"oversight_info/is_fda_regulated_{name}", {True: "Yes", False: "No"}.get(answer))
    healthy = {True: "Accepts Healthy Volunteers", False: "No"}.get(eligibility.get("healthyVolunteers"))
    put("eligibility/healthy_volunteers", healthy)
    places = (item.get("country") for item in modules["contactsLocations"].get("locations", []))
    for country in dict.fromkeys(places):
        put("location_countries/country", country)
    if study.get("hasResults"):
        put_item("clinical_results", reported_events="none")
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
