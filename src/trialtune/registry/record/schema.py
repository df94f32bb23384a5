"""One trial as a snapshot row: its columns, and the hash of its content."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

Record = dict[str, Any]
#: Characters that the hash ignores: AACT's files have lost some of them.
NOT_HASHED = ' "\t\n'
DATE_COLUMNS = (
    *("start_date", "last_update_date", "first_posted_date", "primary_completion_date", "completion_date"),
)
BOOLEAN_COLUMNS = ("has_results", "is_fda_regulated", "healthy_volunteers")
LIST_COLUMNS = (
    *("conditions", "keywords", "interventions", "arms", "primary_outcomes", "secondary_outcomes"),
    *("phases", "collaborators", "countries", "secondary_ids", "nct_aliases"),
)
#: Grouping columns, which are not part of any text.
GROUP_COLUMNS = (
    *("lead_sponsor", "sponsor_class", "collaborators", "first_posted_date", "primary_completion_date"),
    *("completion_date", "enrollment", "enrollment_type", "countries", "secondary_ids", "has_results"),
    *("primary_purpose", "allocation", "masking", "is_fda_regulated", "healthy_volunteers", "nct_aliases"),
)
COLUMNS = (
    *("nct_id", "brief_title", "official_title", "brief_summary", "detailed_description"),
    *("eligibility_criteria", "conditions", "keywords", "interventions", "arms"),
    *("primary_outcomes", "secondary_outcomes", "phases"),
    *("overall_status", "study_type", "start_date", "last_update_date", "why_stopped", "sex"),
    *("minimum_age", "maximum_age", *GROUP_COLUMNS),
    *("text", "source", "data_timestamp", "row_hash"),
)


def _type(name: str) -> pa.DataType:
    if name in LIST_COLUMNS:
        return pa.list_(pa.string())
    if name in BOOLEAN_COLUMNS:
        return pa.bool_()
    return pa.int64() if name == "enrollment" else pa.string()


SNAPSHOT_SCHEMA = pa.schema([pa.field(name, _type(name)) for name in COLUMNS])
#: Columns the hash covers: the content on the trial and its stop. Neither its origin and
#: update dates, nor what a source may lack (AACT's nine main tables have no sponsors).
CONTENT_FIELDS = tuple(
    name
    for name in COLUMNS
    if name not in {"last_update_date", "source", "data_timestamp", "row_hash", *GROUP_COLUMNS}
)
TEXT_FIELDS = (
    *("brief_title", "official_title", "brief_summary", "detailed_description", "eligibility_criteria"),
    *("conditions", "keywords", "interventions", "arms", "primary_outcomes", "secondary_outcomes"),
    *("why_stopped", "text"),
)


def content_of(record: Mapping[str, Any], fields: Iterable[str] = CONTENT_FIELDS) -> str:
    """The text and lists that the hash covers, as one text."""
    # Text has no control characters, so these two separate items and fields unambiguously.
    cells = [record[field] or "" for field in fields]
    return "\x01".join(["\x02".join(cell) if type(cell) is list else cell for cell in cells])


def hash_of(content: str) -> str:
    """`content_hash` of the result of `content_of`."""
    return hashlib.blake2b(content.encode().translate(None, NOT_HASHED.encode()), digest_size=16).hexdigest()


def content_hash(record: Mapping[str, Any]) -> str:
    """32 hex digits over `CONTENT_FIELDS` (BLAKE2b); the same content from another source hashes the same.

    AACT's files have lost quotation marks and blank lines: these and blanks are ignored.
    Raises UnicodeEncodeError for a lone surrogate.
    """
    return hash_of(content_of(record))
