"""What labelling a registry came to, as `summary.json` holds it."""

from pydantic import Field

from trialtune.results import Result
from trialtune.tasks.task import Kind

# Value of a group -> "trials" and each label -> trials.
Counts = dict[str, dict[str, int]]


class Named(Result):
    """A classifier or snapshot by its file name, and what tells it from others of that name."""

    name: str
    fingerprint: str | None = None
    data_timestamp: str | None = None


class CrosswalkUsed(Result):
    """A crosswalk whose columns the labels have beside them."""

    name: str
    version: str
    fingerprint: str


class LabelledCounts(Result):
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
    """The counts, by label and by what trials are grouped by too; those are empty for a dry run.

    `sponsor_class` is the lead sponsor's; a trial of several countries counts in each.
    """

    version: str
    task: str
    kind: Kind
    classifier: Named
    snapshot: Named
    crosswalks: tuple[CrosswalkUsed, ...] = ()
    needs_review: int | None = None
    label: dict[str, int] = Field(default_factory=dict)  # label -> trials
    year: Counts = Field(default_factory=dict)
    phase: Counts = Field(default_factory=dict)
    sponsor_class: Counts = Field(default_factory=dict)
    country: Counts = Field(default_factory=dict)
