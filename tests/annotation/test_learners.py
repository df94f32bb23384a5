"""The learners of the page: which one texts get, and that each learns."""

import numpy as np
import pytest

from trialtune.annotation.learners import learner_for
from trialtune.annotation.read_out_learner import ReadOutLearner
from trialtune.annotation.tf_idf_learner import TfIdfLearner
from trialtune.tasks.catalog import load_task

TASK = load_task("stop-reasons")
REASONS = ["slow recruitment of patients", "funding ran out", "adverse events in two patients"]


def test_short_texts_are_read_by_the_shipped_classifier_and_long_ones_by_their_words() -> None:
    assert isinstance(learner_for(TASK, REASONS), ReadOutLearner)
    assert isinstance(learner_for(TASK, ["a long text of criteria " * 100] * 3), TfIdfLearner)


@pytest.mark.parametrize("kind", [ReadOutLearner, TfIdfLearner])
def test_a_learner_tells_apart_what_it_was_shown(kind) -> None:
    texts = [f"{reason} at site {number}" for number in range(8) for reason in REASONS]
    gold = np.zeros((len(texts), len(TASK.labels)), dtype=bool)
    gold[np.arange(len(texts)), np.arange(len(texts)) % 3] = True
    learner = ReadOutLearner(TASK) if kind is ReadOutLearner else TfIdfLearner(TASK, texts)
    model = learner.fit(learner.features(texts), gold)
    asked = ["recruitment of patients was slow", "the funding ran out", "two adverse events"]
    said = model.probabilities(learner.features(asked))
    assert said.shape == (3, len(TASK.labels))
    assert (said.argmax(axis=1) == [0, 1, 2]).all()
