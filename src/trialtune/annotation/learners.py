"""Chooses the learner for some texts."""

from collections.abc import Sequence
from statistics import median

from trialtune.annotation.learner import Learner
from trialtune.classifier.shipped import shipped_names
from trialtune.tasks.task import Task

_SHORT = 400  # characters: a stop reason has 250 at most
_SHIPPED = "stop-reasons"


def learner_for(task: Task, texts: Sequence[str]) -> Learner:
    """A linear layer on the shipped stop-reason classifier for texts as short as reasons, else on TF-IDF.

    The former learns from fewer answers (benchmarks/few_labels.py), but takes minutes on long texts.
    """
    if _SHIPPED in shipped_names() and median(map(len, texts)) <= _SHORT:
        from trialtune.annotation.read_out_learner import ReadOutLearner  # noqa: PLC0415 - it reads a graph

        return ReadOutLearner(task)
    from trialtune.annotation.tf_idf_learner import TfIdfLearner  # noqa: PLC0415 - scikit-learn takes a second

    return TfIdfLearner(task, texts)
