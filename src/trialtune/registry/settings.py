"""Settings of a sync and of a sample registry."""

from datetime import date
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from trialtune.errors import UsageError
from trialtune.files import fingerprint
from trialtune.settings import Settings

BASE_URL = "https://clinicaltrials.gov/api/v2"
MAX_PAGE = 1_000

#: The API's names of a snapshot's fields; results, locations (except countries) and contact persons
#: are not requested. Time frames and descriptions distinguish outcomes and interventions of the same name.
STUDY_FIELDS = (
    *("NCTId", "NCTIdAlias", "OrgStudyId", "SecondaryId", "SecondaryIdType", "BriefTitle", "OfficialTitle"),
    *("OverallStatus", "WhyStopped", "StartDate", "PrimaryCompletionDate", "CompletionDate"),
    *("StudyFirstPostDate", "LastUpdatePostDate", "HasResults", "BriefSummary", "DetailedDescription"),
    *("LeadSponsorName", "LeadSponsorClass", "CollaboratorName", "LocationCountry"),
    *("IsFDARegulatedDrug", "IsFDARegulatedDevice", "Condition", "Keyword", "StudyType", "Phase"),
    *("DesignAllocation", "DesignPrimaryPurpose", "DesignMasking", "EnrollmentCount", "EnrollmentType"),
    *("ArmGroupLabel", "ArmGroupDescription", "InterventionType", "InterventionName"),
    *("InterventionDescription", "PrimaryOutcomeMeasure", "PrimaryOutcomeDescription"),
    *("PrimaryOutcomeTimeFrame", "SecondaryOutcomeMeasure", "SecondaryOutcomeDescription"),
    *("SecondaryOutcomeTimeFrame", "EligibilityCriteria", "HealthyVolunteers", "Sex"),
    *("MinimumAge", "MaximumAge"),
)
# Required: the id, the date of the version, and a text, without which a trial is empty.
_ALWAYS = ("NCTId", "LastUpdatePostDate", "BriefTitle")


class SyncRequest(Settings):
    """Which trials a sync folder holds: all, or those of a query, since a date, or in a list of ids."""

    base_url: str = Field(BASE_URL, description="Base URL of an API v2 server.")
    since: str | None = Field(None, description="Only trials updated on this day or later.")
    query: str | None = Field(None, description="Only trials that match, in the site's syntax.")
    ids: tuple[str, ...] | None = Field(None, description="Only these NCT ids.")
    fields: tuple[str, ...] = Field(
        STUDY_FIELDS,
        description="The API's field names, comma-separated; default all of a snapshot. NCTId, "
        "LastUpdatePostDate and BriefTitle are always included.",
    )

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("query")
    @classmethod
    def _a_query(cls, value: str | None) -> str | None:
        from trialtune.registry.record.validate import is_nct_id  # noqa: PLC0415 - or --help waits for polars

        # The API then returns the ids and ignores every filter, including dates.
        if value is not None and all(is_nct_id(word) for word in value.replace(",", " ").split()):
            raise UsageError(f"--query {value!r}: contains only NCT ids; give them with --ids FILE")
        return value

    @field_validator("since")
    @classmethod
    def _a_day(cls, value: str | None) -> str | None:
        try:
            return None if value is None else date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise UsageError(f"--since {value!r}: not a date; write it as 2026-01-31") from error

    @field_validator("fields")
    @classmethod
    def _with_the_id(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*_ALWAYS, *value)))

    def identity(self) -> dict[str, Any]:
        """The part of a request that all syncs into a folder share."""
        ids = None if self.ids is None else f"{len(self.ids)} ids {fingerprint(sorted(self.ids))[:16]}"
        shape = {"base_url": self.base_url, "query": self.query, "since": self.since}
        return {**shape, "ids": ids, "fields": sorted(self.fields)}


class ClientSettings(Settings):
    """Rate limits and retries."""

    rate: float = Field(1.0, ge=0, description="Maximum requests per second; 0 for no limit.")
    attempts: int = Field(8, ge=1, description="Maximum attempts per request.")
    backoff: float = Field(1.0, gt=0, description="Seconds before the second attempt; doubles each time.")
    timeout: float = Field(60.0, gt=0, description="Seconds without a byte before a request times out.")


class MergeSettings(Settings):
    """Limits of memory use; a bucket is a row group of the snapshot."""

    bucket_rows: int = Field(10_000, ge=1, description="Trials merged at a time.")
    parts_at_once: int = Field(10, ge=1, description="Pages read at a time.")


class SyncSettings(ClientSettings):
    """Rate limits, retries and sizes."""

    page_size: int = Field(MAX_PAGE, ge=1, le=MAX_PAGE, description="Studies per page.")
    merge: MergeSettings = Field(MergeSettings(), json_schema_extra={"panel": "Memory"})


class SampleSettings(Settings):
    """The number of synthetic studies, their seed, and how many lines `write_sample` corrupts."""

    studies: int = Field(2400, description="Number of synthetic trials.")
    seed: int = Field(13, description="Random seed; equal seeds give equal files.")
    dirty: int = Field(12, description="Broken or untidy lines, to test the importer.")

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        if not 1 <= self.studies <= 100_000:
            raise UsageError(f"studies {self.studies}: choose 1 to 100000 studies")
        if not 0 <= self.dirty <= self.studies // 2:
            raise UsageError(f"dirty {self.dirty}: choose 0 to {self.studies // 2}, half of the studies")
        return self
