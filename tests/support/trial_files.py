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


class _Rows:
    """The rows of one trial, as they are added to the tables."""

    def __init__(self, tables: Tables, study: dict[str, Any]) -> None:
        self.tables = tables
        self.nct_id = study["protocolSection"]["identificationModule"]["nctId"]

    def put(self, table: str, *cells: object) -> None:
        number = [] if table == "studies" else [str(len(self.tables[table]) + 1)]
        texts = ("" if cell is None else str(cell) for cell in cells)
        self.tables[table].append([*number, self.nct_id, *texts])


def _modules(study: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: study["protocolSection"].get(f"{name}Module", {}) for name in MODULES}


def _flag(value: bool | None) -> str:
    return "" if value is None else "t" if value else "f"


def _add(tables: Tables, study: dict[str, Any]) -> None:
    rows, modules = _Rows(tables, study), _modules(study)
    _add_study(rows, modules)
    _add_groups(rows, modules, study)
    _add_texts(rows, modules)


def _add_study(rows: _Rows, modules: dict[str, dict[str, Any]]) -> None:
    names, status, design = modules["identification"], modules["status"], modules["design"]

    def dates(name: str) -> tuple[str, str]:
        month = day(status, name)
        return month, month if len(month) == 10 else f"{month}-28" if month else ""

    enrollment = design.get("enrollmentInfo", {})
    rows.put(
        "studies",
        *(day(status, "studyFirstPost"), day(status, "lastUpdatePost"), *dates("start")),
        *(names.get("briefTitle"), names.get("officialTitle")),
        *(status.get("overallStatus"), design.get("studyType"), "/".join(design.get("phases", []))),
        *(status.get("whyStopped"), modules["sponsorCollaborators"].get("leadSponsor", {}).get("name")),
        *(*dates("primaryCompletion"), *dates("completion")),
        *(enrollment.get("count"), enrollment.get("type")),
        _flag(modules["oversight"].get("isFdaRegulatedDrug")),
        _flag(modules["oversight"].get("isFdaRegulatedDevice")),
    )


def _add_groups(rows: _Rows, modules: dict[str, dict[str, Any]], study: dict[str, Any]) -> None:
    names, info = modules["identification"], modules["design"].get("designInfo", {})
    if lead := modules["sponsorCollaborators"].get("leadSponsor"):
        rows.put("sponsors", lead.get("class"), "lead", lead.get("name"))
    for item in modules["sponsorCollaborators"].get("collaborators", []):
        rows.put("sponsors", item.get("class"), "collaborator", item.get("name"))
    for country in countries(modules):
        rows.put("countries", country, "f")
    rows.put("countries", "Atlantis", "t")
    if own := names.get("orgStudyIdInfo", {}).get("id"):
        rows.put("id_information", "org_study_id", "", "", "", own)
    for item in names.get("secondaryIdInfos", []):
        rows.put("id_information", "secondary_id", item.get("type"), item.get("domain"), "", item.get("id"))
    for alias in names.get("nctIdAliases", []):
        rows.put("id_information", "nct_alias", "", "", "", alias)
    masking = info.get("maskingInfo", {}).get("masking")
    rows.put("designs", info.get("primaryPurpose"), info.get("allocation"), masking)
    rows.put("calculated_values", _flag(study.get("hasResults")))


def _add_texts(rows: _Rows, modules: dict[str, dict[str, Any]]) -> None:
    description, eligibility = modules["description"], modules["eligibility"]
    if text := description.get("briefSummary"):
        rows.put("brief_summaries", text)
    if text := description.get("detailedDescription"):
        rows.put("detailed_descriptions", text)
    ages = eligibility.get("minimumAge"), eligibility.get("maximumAge")
    healthy = _flag(eligibility.get("healthyVolunteers"))
    rows.put("eligibilities", eligibility.get("sex"), *ages, healthy, eligibility.get("eligibilityCriteria"))
    for table in ("conditions", "keywords"):
        for name in modules["conditions"].get(table, []):
            rows.put(table, name, name.lower())
    for item in modules["armsInterventions"].get("interventions", []):
        rows.put("interventions", item.get("type"), item.get("name"), item.get("description"))
    for item in modules["armsInterventions"].get("armGroups", []):
        rows.put("design_groups", item.get("type"), item.get("label"), item.get("description"))
    for kind in ("primary", "secondary", "other"):
        for item in modules["outcomes"].get(f"{kind}Outcomes", []):
            cells = (item.get("measure"), item.get("timeFrame"), "", item.get("description"))
            rows.put("design_outcomes", kind, *cells)


def countries(modules: dict[str, dict[str, Any]]) -> list[str]:
    """The countries of a study's places."""
    return list(dict.fromkeys(item["country"] for item in modules["contactsLocations"].get("locations", [])))


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


class _Xml:
    """One trial's file, as it grows."""

    def __init__(self) -> None:
        self.root = ElementTree.Element("clinical_study")

    def put(self, path: str, text: str | None) -> None:
        if text:
            parent = self.root
            *outer, last = path.split("/")
            for tag in outer:
                found = parent.find(tag)
                parent = ElementTree.SubElement(parent, tag) if found is None else found
            ElementTree.SubElement(parent, last).text = text

    def put_item(self, path: str, **parts: str | None) -> None:
        parent: ElementTree.Element = self.root
        *outer, tag = path.split("/")
        for name in outer:
            found = parent.find(name)
            parent = ElementTree.SubElement(parent, name) if found is None else found
        item = ElementTree.SubElement(parent, tag)
        for name, text in parts.items():
            ElementTree.SubElement(item, name).text = text


def xml_of(study: dict[str, Any]) -> bytes:
    """The study as a file of the registry's old XML."""
    xml, modules = _Xml(), _modules(study)
    _put_texts(xml, modules)
    _put_groups(xml, modules)
    if study.get("hasResults"):
        xml.put_item("clinical_results", reported_events="none")
    return ElementTree.tostring(xml.root, encoding="utf-8", xml_declaration=True)


def _put_texts(xml: _Xml, modules: dict[str, dict[str, Any]]) -> None:
    names, status, design = modules["identification"], modules["status"], modules["design"]
    description, eligibility = modules["description"], modules["eligibility"]
    xml.put("id_info/org_study_id", names.get("orgStudyIdInfo", {}).get("id"))
    for item in names.get("secondaryIdInfos", []):
        xml.put("id_info/secondary_id", item["id"])
    xml.put("id_info/nct_id", names["nctId"])
    for alias in names.get("nctIdAliases", []):
        xml.put("id_info/nct_alias", alias)
    xml.put("brief_title", names.get("briefTitle"))
    xml.put("official_title", names.get("officialTitle"))
    xml.put("brief_summary/textblock", description.get("briefSummary"))
    xml.put("detailed_description/textblock", description.get("detailedDescription"))
    xml.put("overall_status", status.get("overallStatus", "").capitalize().replace("_", " "))
    xml.put("why_stopped", status.get("whyStopped"))
    xml.put("start_date", day(status, "start"))
    xml.put("phase", "/".join(phase.replace("PHASE", "Phase ") for phase in design.get("phases", [])))
    xml.put("study_type", design.get("studyType", "").capitalize())
    for kind in ("primary", "secondary"):
        for item in modules["outcomes"].get(f"{kind}Outcomes", []):
            parts = {"measure": "measure", "time_frame": "timeFrame", "description": "description"}
            xml.put_item(f"{kind}_outcome", **{tag: item.get(name) for tag, name in parts.items()})
    for item in modules["conditions"].get("conditions", []):
        xml.put("condition", item)
    for item in modules["armsInterventions"].get("armGroups", []):
        xml.put_item("arm_group", arm_group_label=item.get("label"), description=item.get("description"))
    for item in modules["armsInterventions"].get("interventions", []):
        kind, about = item.get("type", "").replace("_", " ").title(), item.get("description")
        xml.put_item(
            "intervention", intervention_type=kind, intervention_name=item.get("name"), description=about
        )
    xml.put("eligibility/criteria/textblock", eligibility.get("eligibilityCriteria"))
    xml.put("eligibility/gender", eligibility.get("sex", "").capitalize())
    xml.put("eligibility/minimum_age", eligibility.get("minimumAge"))
    xml.put("eligibility/maximum_age", eligibility.get("maximumAge") or "N/A")
    healthy = {True: "Accepts Healthy Volunteers", False: "No"}.get(eligibility.get("healthyVolunteers"))
    xml.put("eligibility/healthy_volunteers", healthy)
    xml.put("last_update_posted", day(status, "lastUpdatePost"))
    for item in modules["conditions"].get("keywords", []):
        xml.put("keyword", item)


def _put_groups(xml: _Xml, modules: dict[str, dict[str, Any]]) -> None:
    status, design, sponsors = modules["status"], modules["design"], modules["sponsorCollaborators"]
    if lead := sponsors.get("leadSponsor"):
        kind = {"FED": "U.S. Fed"}.get(lead.get("class"), lead.get("class"))
        xml.put_item("sponsors/lead_sponsor", agency=lead.get("name"), agency_class=kind)
    for item in sponsors.get("collaborators", []):
        xml.put_item("sponsors/collaborator", agency=item.get("name"))
    xml.put("primary_completion_date", day(status, "primaryCompletion"))
    xml.put("completion_date", day(status, "completion"))
    xml.put("study_first_posted", day(status, "studyFirstPost"))
    info, enrollment = design.get("designInfo", {}), design.get("enrollmentInfo", {})
    masking = info.get("maskingInfo", {}).get("masking")
    answers = {"primary_purpose": info.get("primaryPurpose"), "allocation": info.get("allocation")}
    for tag, value in {**answers, "masking": masking}.items():
        xml.put(f"study_design_info/{tag}", (value or "").replace("_", " ").capitalize())
    if "count" in enrollment:
        xml.put("enrollment", str(enrollment["count"]))
        kind = enrollment.get("type", "").replace("ESTIMATED", "Anticipated").capitalize()
        xml.root[-1].set("type", kind)
    for name in ("drug", "device"):
        answer = modules["oversight"].get(f"isFdaRegulated{name.capitalize()}")
        xml.put(f"oversight_info/is_fda_regulated_{name}", {True: "Yes", False: "No"}.get(answer))
    for country in countries(modules):
        xml.put("location_countries/country", country)
