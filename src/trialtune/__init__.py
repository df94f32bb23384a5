"""Adapt a BERT encoder to ClinicalTrials.gov text, prove whether it helped, label the registry.

The public names are imported on first use, so that labelling a text loads only what it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trialtune.threads import wait_briefly

__version__ = "0.1.0"

if TYPE_CHECKING:
    from trialtune.classifier.classifier import Classifier
    from trialtune.classifier.prediction import PREDICTION_SCHEMA, Prediction
    from trialtune.estimation.settings import EstimateSettings, PlanSettings
    from trialtune.experiment.comparison import compare
    from trialtune.models.settings import LoraSettings
    from trialtune.registry.snapshot.build import import_trials
    from trialtune.registry.snapshot.read import read_snapshot
    from trialtune.registry.sync.run import sync
    from trialtune.stages.adapt import adapt
    from trialtune.stages.apply import LabelSettings, label_registry
    from trialtune.stages.cross_validate import cross_validate
    from trialtune.stages.diff import diff
    from trialtune.stages.estimate import estimate
    from trialtune.stages.estimate_plan import plan_estimate
    from trialtune.stages.finetune import finetune
    from trialtune.stages.push import push_to_hub
    from trialtune.stages.settings import AdaptSettings, FinetuneSettings
    from trialtune.tasks.catalog import load_task
    from trialtune.tasks.task import Task
    from trialtune.training.settings import TrainSettings

_PLACES = {
    "AdaptSettings": "stages.settings",
    "Classifier": "classifier.classifier",
    "EstimateSettings": "estimation.settings",
    "FinetuneSettings": "stages.settings",
    "LabelSettings": "stages.apply",
    "LoraSettings": "models.settings",
    "PlanSettings": "estimation.settings",
    "PREDICTION_SCHEMA": "classifier.prediction",
    "Prediction": "classifier.prediction",
    "Task": "tasks.task",
    "TrainSettings": "training.settings",
    "adapt": "stages.adapt",
    "compare": "experiment.comparison",
    "cross_validate": "stages.cross_validate",
    "diff": "stages.diff",
    "estimate": "stages.estimate",
    "finetune": "stages.finetune",
    "import_trials": "registry.snapshot.build",
    "label_registry": "stages.apply",
    "load_task": "tasks.catalog",
    "plan_estimate": "stages.estimate_plan",
    "push_to_hub": "stages.push",
    "read_snapshot": "registry.snapshot.read",
    "sync": "registry.sync.run",
}

__all__ = [
    "PREDICTION_SCHEMA",
    "AdaptSettings",
    "Classifier",
    "EstimateSettings",
    "FinetuneSettings",
    "LabelSettings",
    "LoraSettings",
    "PlanSettings",
    "Prediction",
    "Task",
    "TrainSettings",
    "__version__",
    "adapt",
    "compare",
    "cross_validate",
    "diff",
    "estimate",
    "finetune",
    "import_trials",
    "label_registry",
    "load_task",
    "plan_estimate",
    "push_to_hub",
    "read_snapshot",
    "sync",
]

wait_briefly()  # here, since PyTorch must not be loaded yet


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'trialtune' has no attribute {name!r}")
    from trialtune.extras import needing_extras  # noqa: PLC0415

    with needing_extras():
        return getattr(import_module(f"trialtune.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
