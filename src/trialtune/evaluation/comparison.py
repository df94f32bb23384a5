"""The result of a comparison: the content of `comparison.json`."""

from trialtune.evaluation.intervals import AverageIntervals, Compared, Spread
from trialtune.evaluation.metrics import ReliabilityBin
from trialtune.evaluation.slices import Slice
from trialtune.results import Result
from trialtune.tasks.task import Kind


class SystemSummary(Result):
    """A system's line in the summary table: means over its seeds, their spread, 95% intervals."""

    title: str
    fine_tuned: bool
    seeds: int
    micro_f1: float
    macro_f1: float
    accuracy: float
    ece: float | None  # None for rules, which have no probabilities
    reliability: tuple[ReliabilityBin, ...] | None
    spread: Spread
    intervals: AverageIntervals


class ComparedRows(Result):
    """How many rows the systems were trained and tested on, and their overlap."""

    train: int
    calibration: int
    test: int
    test_source: str
    overlap: int  # test rows found in training: 0, unless something went wrong
    near_duplicates: int | None = None  # test rows that are near-duplicates of a training row
    mlm_overlap: int | None = None  # test rows whose trial an encoder was pre-trained on; None: unknown


class ComparisonResult(Compared):
    """A task's comparison: base and adapted in full, all other systems in `summary`.

    `slices` has the first adapted classifier's scores by topic and by source.
    """

    task: str
    kind: Kind
    labels: tuple[str, ...]
    n: int
    seeds: tuple[int, ...]
    summary: dict[str, SystemSummary]
    verdict: str
    slices: dict[str, tuple[Slice, ...]]
    data: ComparedRows
