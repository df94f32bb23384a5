"""What training a classifier came to, once or by cross-validation."""

from typing import Any

from trialtune.evaluation.metrics import Metrics
from trialtune.results import Result


class TrainingRows(Result):
    """Rows that were trained on, and those kept aside for calibration and thresholds."""

    train: int
    calibration: int
    unlabelled: int = 0  # texts that teachers alone gave targets
    outliers: int = 0  # texts that no label fits


class TrainingResult(Result):
    """The `training.json` of a classifier folder."""

    task: str
    encoder: str
    adapter: str | None
    teachers: tuple[str, ...]
    max_length: int  # tokens
    rows: TrainingRows
    tokens: int  # trained on
    tokens_per_s: float
    seconds: float
    kept_step: int  # whose weights were kept
    calibration: Metrics  # on the calibration rows, which chose the thresholds
    settings: dict[str, Any]  # as JSON: their class lies with the training


class Suspects(Result):
    """Labels of a class that are doubtful: `given` and probably wrong, `missing` and probably right."""

    given: int
    missing: int


class CrossValidation(Metrics):
    """The scores of all rows, each by a classifier trained without it, and the doubtful labels."""

    suspects: int
    suspects_per_class: dict[str, Suspects]
