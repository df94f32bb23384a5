"""Baselines: the simple ones by hand, the linear ones on text that a word decides."""

import numpy as np
import polars as pl
import pytest

from trialtune.dataset.label_arrays import multi_hot
from trialtune.evaluation.baselines import apply_rules, fit_linear, majority, tf_idf
from trialtune.evaluation.metrics import score
from trialtune.tasks.catalog import TASKS

STOP = list(TASKS["stop-reasons"].labels)
RULES = {name: task.keywords for name, task in TASKS.items()}


def rules_say(task: str, text: str) -> set[str]:
    labels, kind = list(TASKS[task].labels), TASKS[task].kind
    otherwise = np.zeros(len(labels), dtype=bool)
    [found] = apply_rules(RULES[task], [text], labels, kind=kind, otherwise=otherwise)
    return {label for label, holds in zip(labels, found, strict=True) if holds}


def test_the_majority_is_a_label_set_and_heeds_weights():
    gold = np.array([[True, True], [True, True], [False, True]])
    assert majority(gold, 2, np.ones(3)).tolist() == [[True, True]] * 2
    assert majority(gold, 1, np.array([1, 1, 5])).tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Slow accrual and lack of funding", {"Insufficient_Enrollment", "Business_Administrative"}),
        ("Terminated for futility at interim analysis", {"Negative", "Interim_Analysis"}),
        ("The PI left the institution", {"Study_Staff_Moved"}),
        ("Low recruitment due to the COVID-19 pandemic", {"Insufficient_Enrollment", "Covid19"}),
        ("Pending IRB approval", {"Regulatory"}),
        ("blue", set()),
    ],
)
def test_rules_of_stop_reasons(text, labels):
    assert rules_say("stop-reasons", text) == labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Pregnant women in the third trimester", {"FEMALE"}),
        ("Men with prostate cancer", {"MALE"}),
        ("Men and women", set()),  # both: left to the majority
    ],
)
def test_rules_of_sex(text, labels):
    assert rules_say("sex", text) == labels


def test_rules_are_written_for_labels_that_exist():
    for task, rules in RULES.items():
        assert rules.keys() <= TASKS[task].labels.keys()


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
def test_tf_idf_learns_what_a_word_decides(kind):
    rng = np.random.default_rng(0)
    words = ["funding", "recruitment", "safety"]
    drawn = [[int(rng.integers(3))] if kind == "multi_class" else rng.permutation(3)[:2] for _ in range(300)]
    texts = [" and ".join([words[i] for i in row] + [f"filler{rng.integers(40)}"]) for row in drawn]
    gold = np.array([[i in row for i in range(3)] for row in drawn])
    features = tf_idf()
    train = features.fit_transform(texts[:200])
    calibration, test = features.transform(texts[200:250]), features.transform(texts[250:])
    model, strength = fit_linear(
        (train, gold[:200]), (calibration, gold[200:250]), kind=kind, strengths=(1.0, 30.0)
    )
    probabilities = model.probabilities(test)
    assert strength == 30
    assert ((probabilities > 0.5) == gold[250:]).all()
    if kind == "multi_class":
        assert probabilities.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
def test_labels_without_training_rows_have_probability_zero(kind):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(60, 4))
    gold = np.zeros((60, 3), dtype=bool)
    gold[np.arange(60), (features[:, 0] > 0).astype(int)] = True
    model, _ = fit_linear((features, gold), (features, gold), kind=kind, strengths=(1.0,))
    assert (model.probabilities(features)[:, 2] == 0).all()
    same = np.tile([True, False, False], (60, 1))
    model, _ = fit_linear((features, same), (features, same), kind=kind, strengths=(1.0,))
    assert model.probabilities(features).tolist() == [[1, 0, 0]] * 60


def test_rules_beat_the_majority_on_real_reasons(shared_data):
    rows = pl.read_parquet(shared_data / "stop_reasons_train.parquet").head(4000)
    gold = multi_hot(rows["labels"], STOP)
    most = majority(gold, len(rows), np.ones(len(rows)))
    ruled = apply_rules(
        RULES["stop-reasons"], rows["text"].to_list(), STOP, kind="multi_label", otherwise=most[0]
    )
    scores = [score(gold, predicted, STOP, kind="multi_label") for predicted in (most, ruled)]
    assert scores[1].micro_f1 > scores[0].micro_f1 + 0.2
    assert scores[1].macro_f1 > 0.45
