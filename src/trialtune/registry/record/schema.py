"""One trial as a snapshot row: its columns, and the hash of its content."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

Record = dict[str, Any]
LIST_COLUMNS = (
    "conditions",
    "keywords",
    "interventions",
    "arms",
    "primary_outcomes",
    "secondary_outcomes",
    "phases",
)
COLUMNS = (
    *("nct_id", "brief_title", "official_title", "brief_summary", "detailed_description"),
    "eligibility_criteria",
    *LIST_COLUMNS,
    *("overall_status", "study_type", "start_date", "last_update_date", "why_stopped", "sex"),
    *("minimum_age", "maximum_age", "text", "source", "data_timestamp", "row_hash"),
)
SNAPSHOT_SCHEMA = pa.schema(
    [pa.field(name, pa.list_(pa.string()) if name in LIST_COLUMNS else pa.string()) for name in COLUMNS]
)
#: Columns the hash covers: what the record says, not where it came from or when it was last touched.
CONTENT_FIELDS = tuple(
    name for name in COLUMNS if name not in ("last_update_date", "source", "data_timestamp", "row_hash")
)
TEXT_FIELDS = (
    *("brief_title", "official_title", "brief_summary", "detailed_description", "eligibility_criteria"),
    *("conditions", "keywords", "interventions", "arms", "primary_outcomes", "secondary_outcomes"),
    *("why_stopped", "text"),
)


def content_hash(record: Mapping[str, Any]) -> str:
    """32 hex digits over `CONTENT_FIELDS` (BLAKE2b); the same content from another source hashes the same."""
    # Text holds no control characters, so these two separate items and fields without doubt.
    cells = (record.get(field) or "" for field in CONTENT_FIELDS)
    content = "\x1e".join("".join(f"{item}\x1f" for item in c) if isinstance(c, list) else c for c in cells)
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
