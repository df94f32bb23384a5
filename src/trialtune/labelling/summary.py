"""What labelling a registry came to, as `summary.json` holds it."""

from pydantic import BaseModel, ConfigDict

from trialtune.tasks.task import Kind


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class Named(_Result):
    """A classifier or snapshot by its file name, and what tells it from others of that name."""

    name: str
    fingerprint: str | None = None
    data_timestamp: str | None = None


class LabelledCounts(_Result):
    """Trials; `labelled` = new + changed + unchanged, against an earlier output."""

    trials: int
    without_text: int
    labelled: int
    distinct_texts: int
    reused: int  # distinct texts whose scores an earlier output has
    scored: int
    new: int
    changed: int
    unchanged: int
    gone: int


class LabellingSummary(LabelledCounts):
    """The counts, by label, start year and phase too; those are empty for a dry run."""

    version: str
    task: str
    kind: Kind
    classifier: Named
    snapshot: Named
    needs_review: int | None = None
    label: dict[str, int] = {}  # label -> trials
    year: dict[str, dict[str, int]] = {}  # start year -> "trials" and each label -> trials
    phase: dict[str, dict[str, int]] = {}
