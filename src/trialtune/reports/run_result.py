"""The result of a run: the content of `metrics.json`, from which the report is made."""

from typing import Any

from pydantic import Field

from trialtune.corpus.folder import CorpusCounts
from trialtune.evaluation.comparison import ComparisonResult
from trialtune.evaluation.mlm_result import MlmTraining
from trialtune.evaluation.size_result import SizesResult
from trialtune.results import Result


class RunData(Result):
    """The trials of a run: read = kept + quarantined, kept = base + new."""

    source: str
    source_sha256: str | None = None
    data_timestamp: str
    read: int
    kept: int
    quarantined: int
    reasons: dict[str, int]  # of the quarantined, by kind
    warnings: tuple[str, ...] = ()
    cut: str
    base: int
    new: int
    bad_ids: int = 0  # entries of the cut's id list that were not NCT ids
    years: dict[str, dict[str, int]]  # start year -> base and new -> trials


class Corpora(Result):
    """The corpora before and after the cut."""

    base: CorpusCounts
    new: CorpusCounts
    block_size: int


class Machine(Result):
    """The environment of a run."""

    cpu: str
    cores: int | None
    memory_gib: float
    gpu: str | None


class RunResult(Result):
    """A run: `mlm` has the base stage, if there is one, the adaptation and its variants, by name."""

    name: str
    made_up: bool
    settings: dict[str, Any]  # the recipe, as JSON: its class belongs to the experiment
    settings_note: str
    data: RunData
    corpus: Corpora
    mlm: dict[str, MlmTraining | None]
    tasks: dict[str, ComparisonResult]
    sizes: dict[str, SizesResult] = Field(default_factory=dict)  # of the tasks compared by size
    versions: dict[str, str]
    machine: Machine
    seconds: dict[str, float]  # of each step
