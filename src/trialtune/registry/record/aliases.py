"""The names by which other exports call the columns of a record."""

import re
from functools import lru_cache

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
    "text": ("text", "fulltext", "trialtext", "document", "content", "input"),
    "source": ("source",),
    "data_timestamp": ("datatimestamp",),
}


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
