"""The result of labelling a registry: the content of `summary.json`."""

from pydantic import Field

from trialtune.results import Result
from trialtune.tasks.task import Kind

# Value of a group -> "trials" and each label -> trials.
Counts = dict[str, dict[str, int]]


class Named(Result):
    """A classifier or snapshot by its file name, with a fingerprint or checksum."""

    name: str
    fingerprint: str | None = None
    data_timestamp: str | None = None


class CrosswalkUsed(Result):
    """A crosswalk whose columns are included."""

    name: str
    version: str
    fingerprint: str


class LabelledCounts(Result):
    """Trials; `labelled` = new + changed + unchanged, compared with an earlier output."""

    trials: int
    without_text: int
    labelled: int
    distinct_texts: int
    reused: int  # distinct texts with scores from an earlier output
    scored: int
    new: int
    changed: int
    unchanged: int
    gone: int


class LabellingSummary(LabelledCounts):
    """The counts, also by label and by group; the latter are empty for a dry run.

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
