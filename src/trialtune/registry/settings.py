"""What the registry's parts are told: a sync, and the making of a sample."""

from datetime import date
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from trialtune.errors import UsageError
from trialtune.files import fingerprint
from trialtune.settings import Settings

BASE_URL = "https://clinicaltrials.gov/api/v2"
MAX_PAGE = 1_000

#: The API's names of what a snapshot holds; results, places (but for their countries) and contact persons
#: are not asked for. Time frames and descriptions tell outcomes and interventions of one name apart.
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
# A trial is told by its id, is current by its date, and counts as empty without any text.
_ALWAYS = ("NCTId", "LastUpdatePostDate", "BriefTitle")


class SyncRequest(Settings):
    """Which trials a sync folder holds: all, or those of a query, a date on, or a list of ids."""

    base_url: str = Field(BASE_URL, description="A server that speaks API v2.")
    since: str | None = Field(None, description="Only trials updated on this day or later.")
    query: str | None = Field(None, description="Only trials that match, in the site's syntax.")
    ids: tuple[str, ...] | None = Field(None, description="Only these NCT ids.")
    fields: tuple[str, ...] = Field(
        STUDY_FIELDS,
        description="The API's field names, by commas; else all that a snapshot holds. NCTId, "
        "LastUpdatePostDate and BriefTitle always come.",
    )

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("query")
    @classmethod
    def _a_query(cls, value: str | None) -> str | None:
        from trialtune.registry.record.validate import is_nct_id  # noqa: PLC0415 - or --help waits for polars

        # The API then answers the ids and ignores every filter, dates included.
        if value is not None and all(is_nct_id(word) for word in value.replace(",", " ").split()):
            raise UsageError(f"--query {value!r}: holds nothing but NCT ids; give them with --ids FILE")
        return value

    @field_validator("since")
    @classmethod
    def _a_day(cls, value: str | None) -> str | None:
        try:
            return None if value is None else date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise UsageError(f"--since {value!r}: not a day; write it as 2026-01-31") from error

    @field_validator("fields")
    @classmethod
    def _with_the_id(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*_ALWAYS, *value)))

    def identity(self) -> dict[str, Any]:
        """What two syncs into one folder must agree on."""
        ids = None if self.ids is None else f"{len(self.ids)} ids {fingerprint(sorted(self.ids))[:16]}"
        shape = {"base_url": self.base_url, "query": self.query, "since": self.since}
        return {**shape, "ids": ids, "fields": sorted(self.fields)}


class ClientSettings(Settings):
    """How politely and how stubbornly to ask."""

    rate: float = Field(1.0, ge=0, description="Requests a second at most; 0 sets no limit.")
    attempts: int = Field(8, ge=1, description="Times one request is tried.")
    backoff: float = Field(1.0, gt=0, description="Seconds before the second attempt, doubling from there.")
    timeout: float = Field(60.0, gt=0, description="Seconds without a byte before a request is given up.")


class MergeSettings(Settings):
    """How much is in memory at a time; a bucket is a row group of the snapshot."""

    bucket_rows: int = Field(10_000, ge=1, description="Trials that are merged at a time.")
    parts_at_once: int = Field(10, ge=1, description="Pages that are read together for it.")


class SyncSettings(ClientSettings):
    """How to ask, and how much at a time."""

    page_size: int = Field(MAX_PAGE, ge=1, le=MAX_PAGE, description="Studies a page.")
    merge: MergeSettings = Field(MergeSettings(), json_schema_extra={"panel": "Memory"})


class SampleSettings(Settings):
    """How many made-up studies, from which seed, and how many of their lines `write_sample` spoils."""

    studies: int = Field(2400, description="How many trials to make up.")
    seed: int = Field(13, description="Equal seeds make equal files.")
    dirty: int = Field(12, description="Lines that are broken or ugly, to try the importer.")

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        if not 1 <= self.studies <= 100_000:
            raise UsageError(f"studies {self.studies}: ask for 1 to 100000 made-up studies")
        if not 0 <= self.dirty <= self.studies // 2:
            raise UsageError(f"dirty {self.dirty}: ask for 0 to {self.studies // 2}, half of the studies")
        return self
