"""The stand-in for Open Targets' function answers as its pipeline expects."""

import doctest

import pytest

from trialtune import Classifier
from trialtune.errors import UsageError
from trialtune.evaluation.decision import Decision
from trialtune.interop import open_targets
from trialtune.interop.open_targets import predict_trial_stop_reasons
from trialtune.tasks.catalog import load_task

TEXTS = ["slow recruitment", "safety concern", " ", "funding ran out"]
LABELS = tuple(load_task("stop-reasons").labels)


@pytest.fixture(scope="module")
def folder(make_classifier, tmp_path_factory):
    never = Decision("multi_label", LABELS, (0.9999,) * len(LABELS), at_least_one=False)
    return make_classifier("stop-reasons", tmp_path_factory.mktemp("ot") / "clf", decision=never)


def test_without_a_threshold_the_classifiers_rule_decides(make_classifier, folder, tmp_path) -> None:
    ruled = make_classifier("stop-reasons", tmp_path / "clf")
    expected = [
        list(one.labels or ["Uncategorised"]) for one in Classifier.from_pretrained(ruled).predict(TEXTS)
    ]
    assert predict_trial_stop_reasons(TEXTS, classifier=ruled) == expected
    assert expected[2] == ["Uncategorised"] and all(expected)
    assert predict_trial_stop_reasons(TEXTS, classifier=folder, batch_size=2) == [["Uncategorised"]] * 4


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_a_threshold_is_for_every_label(folder, threshold) -> None:
    opened = Classifier.from_pretrained(folder)
    found = predict_trial_stop_reasons(TEXTS, threshold, classifier=opened)
    for row, named in zip(opened.predict_proba(TEXTS), found, strict=True):
        reached = [label for label, p in zip(LABELS, row, strict=True) if p >= threshold]
        assert named == (reached or ["Uncategorised"])
    assert found[2] == ["Uncategorised"]


def test_what_cannot_be_answered_is_refused(make_classifier, folder, tmp_path) -> None:
    assert predict_trial_stop_reasons([], classifier=folder) == []
    with pytest.raises(UsageError, match="not a probability"):
        predict_trial_stop_reasons(TEXTS, threshold=30, classifier=folder)
    with pytest.raises(UsageError, match=r"texts\[0\] is None"):
        predict_trial_stop_reasons([None], classifier=folder)  # type: ignore[list-item]
    sex = make_classifier("sex", tmp_path / "sex")
    with pytest.raises(UsageError, match="is for the task sex, not stop-reasons"):
        predict_trial_stop_reasons(TEXTS, classifier=sex)


def test_the_example_runs(folder) -> None:
    [example] = [
        found
        for found in doctest.DocTestFinder().find(open_targets, globs={"folder": folder})
        if found.examples
    ]
    told: list[str] = []
    failed, tried = doctest.DocTestRunner().run(example, out=told.append)
    assert tried > 1 and not failed, "".join(told)
