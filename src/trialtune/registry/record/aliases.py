"""Column names of other exports for the fields of a record."""

import re
from dataclasses import dataclass
from functools import lru_cache

# Column names other exports use, compared in lower case and without punctuation; the first found wins.
_ALIASES: dict[str, tuple[str, ...]] = {
    "nct_id": (
        *("nctid", "nctnumber", "nctno", "nct", "nctcode", "nctidentifier", "clinicaltrialsgovidentifier"),
        *("clinicaltrialsgovid", "clinicaltrialid", "trialid", "trialnumber", "studyid", "id"),
    ),
    "brief_title": ("brieftitle", "studytitle", "publictitle", "title"),
    "official_title": ("officialtitle", "scientifictitle"),
    "brief_summary": ("briefsummary", "summary"),
    "detailed_description": ("detaileddescription", "description"),
    "eligibility_criteria": ("eligibilitycriteria", "eligibility", "criteria"),
    "conditions": ("conditions", "condition", "diseases", "disease"),
    "keywords": ("keywords", "keyword"),
    "interventions": ("interventions", "intervention", "interventionname", "drugs"),
    "arms": ("arms", "armgroups", "armgroup", "armgrouplabel"),
    "primary_outcomes": (
        *("primaryoutcomes", "primaryoutcomemeasures", "primaryoutcome", "primaryoutcomemeasure"),
        "outcomemeasures",  # the old site's, primary and secondary ones in one cell
    ),
    "secondary_outcomes": (
        *("secondaryoutcomes", "secondaryoutcomemeasures", "secondaryoutcome", "secondaryoutcomemeasure"),
    ),
    "phases": ("phases", "phase"),
    "overall_status": ("overallstatus", "studystatus", "recruitmentstatus", "trialstatus", "status"),
    "study_type": ("studytype",),
    # AACT's start_date turns a month into its last day.
    "start_date": (
        *("startmonthyear", "startdate", "studystartdate", "startdatestructdate"),
        *("dateofenrollment", "dateenrollment", "dateenrollement", "dateoffirstenrollment"),
    ),
    "last_update_date": (
        *("lastupdatedate", "lastupdateposted", "lastupdatepostdate", "lastupdateposteddate"),
        *("lastupdatepostdatestructdate", "lastchangeddate", "lastupdatesubmitdate"),
        *("lastupdatesubmitteddate", "lastupdated", "lastupdate"),
    ),
    "why_stopped": ("whystopped", "whystudystopped", "whystop", "stopreason"),
    "sex": ("sex", "gender", "inclusiongender"),
    "minimum_age": ("minimumage", "minage", "agemin", "inclusionagemin"),
    "maximum_age": ("maximumage", "maxage", "agemax", "inclusionagemax"),
    "lead_sponsor": ("leadsponsor", "leadsponsorname", "sponsor", "sponsorname", "primarysponsor"),
    "sponsor_class": (
        "sponsorclass",
        "leadsponsorclass",
        "agencyclass",
        "sourceclass",
        "fundertype",
        "fundedbys",
    ),
    "collaborators": ("collaborators", "collaboratorname", "collaborator", "secondarysponsor"),
    "first_posted_date": (
        *("firstposteddate", "firstposted", "studyfirstposteddate", "studyfirstpostdate"),
        "studyfirstpostdatestructdate",
    ),
    "primary_completion_date": (
        *("primarycompletionmonthyear", "primarycompletiondate", "primarycompletiondatestructdate"),
    ),
    "completion_date": (
        *("completionmonthyear", "completiondate", "completiondatestructdate", "studycompletiondate"),
    ),
    "enrollment": ("enrollment", "enrollmentcount", "enrollmentinfocount", "targetsize"),
    "enrollment_type": ("enrollmenttype", "enrollmentinfotype"),
    "countries": ("countries", "country", "locationcountry", "locationcountries"),
    "secondary_ids": ("secondaryids", "otherids", "secondaryid", "secondaryidinfos", "secondaryidinfo"),
    "has_results": ("hasresults", "studyresults", "wereresultsreported"),
    "primary_purpose": ("primarypurpose", "designprimarypurpose", "designinfoprimarypurpose"),
    "allocation": ("allocation", "designallocation", "designinfoallocation"),
    "masking": ("masking", "designmasking", "maskinginfomasking", "designinfomaskinginfomasking"),
    "is_fda_regulated": ("isfdaregulated",),
    "healthy_volunteers": ("healthyvolunteers", "acceptshealthyvolunteers"),
    "nct_aliases": ("nctaliases", "nctidaliases", "nctidalias"),
    "text": ("text", "fulltext", "trialtext", "document", "content", "input"),
    "source": ("source",),
    "data_timestamp": ("datatimestamp",),
    # Parts of a field, and columns that identify a version of a trial.
    "inclusion_criteria": ("inclusioncriteria",),
    "exclusion_criteria": ("exclusioncriteria",),
    "intervention_types": ("interventiontype",),
    "arm_descriptions": ("armgroupdescription",),
    "primary_descriptions": ("primaryoutcomedescription",),
    "secondary_descriptions": ("secondaryoutcomedescription",),
    "sponsors": ("sponsorcollaborators",),
    "study_design": ("studydesign", "studydesigns"),
    "locations": ("locations", "location"),
    "org_study_id": ("orgstudyid", "orgstudyidinfoid"),
    "fda_drug": ("isfdaregulateddrug",),
    "fda_device": ("isfdaregulateddevice",),
    "version": ("version", "versionnumber", "versiondate", "versionholder"),
}
# Modules of the API, which are prefixes of flattened names: identification_briefTitle.
_MODULE = re.compile(
    r"(?:protocolsection)?[._]?(?:identification|status|description|conditions|design|arms_?interventions"
    r"|outcomes|eligibility|sponsor_?collaborators|oversight|contacts_?locations)(?:module)?[._](?=.)",
    re.IGNORECASE,
)
# Columns unique to AACT's `studies`, where `source` is the lead sponsor.
_AACT = frozenset(
    {"start_month_year", "study_first_submitted_date", "last_known_status", "completion_month_year"}
    | {"first_received_date", "last_changed_date", "results_first_submitted_date", "downcase_name"}
    | {"study_first_posted_date", "last_update_submitted_date", "plan_to_share_ipd"}
)


@dataclass(frozen=True)
class Columns:
    """A table's columns: which holds each field (`used`: field -> column), and which hold none."""

    used: dict[str, str]
    unused: tuple[str, ...]
    is_aact: bool


def columns_of(names: tuple[str, ...]) -> dict[str, str]:
    """Which of the given column names holds each snapshot field, or part of one."""
    return table_columns(names).used


@lru_cache(maxsize=256)
def table_columns(names: tuple[str, ...]) -> Columns:
    """The columns, matched by their names."""
    plain: dict[str, str] = {}
    # A full name takes precedence over a part of another: "title" over "outcome.title".
    for reading in (str, _without_module, _last_two, _last):
        for name in names:
            plain.setdefault(re.sub(r"[^a-z0-9]", "", reading(str(name)).lower()), name)
    found = {
        field: next((plain[alias] for alias in aliases if alias in plain), None)
        for field, aliases in _ALIASES.items()
    }
    used = {field: column for field, column in found.items() if column is not None}
    is_aact = "nct_id" in names and not _AACT.isdisjoint(names) and "row_hash" not in names
    if is_aact and used.get("source") == "source":
        del used["source"]
        used.setdefault("lead_sponsor", "source")
    taken = set(used.values())
    return Columns(used, tuple(name for name in names if name not in taken), is_aact)


def _without_module(name: str) -> str:
    return _MODULE.sub("", name, count=1) if _MODULE.match(name) else name


def _last_two(name: str) -> str:
    return "".join(name.split(".")[-2:])


def _last(name: str) -> str:
    return name.rpartition(".")[2]
