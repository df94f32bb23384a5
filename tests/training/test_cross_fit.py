"""What classifiers say of rows that they were not trained on."""

from dataclasses import replace

import numpy as np
import pytest

from trialtune.dataset.label_arrays import multi_hot
from trialtune.stages.foundations import inputs_of, shipped_foundation
from trialtune.tasks.catalog import task_from_spec
from trialtune.tasks.spec import TaskSpec
from trialtune.training.cross_fit import LabelledRows, cross_fit, fitted
from trialtune.training.linear import Material

SPEC = {"accrual": "slow recruitment", "money": "no funds", "harm": "adverse events", "war": ""}
REASONS = {"accrual": "few patients came", "money": "the sponsor could not pay", "harm": "two patients died"}


def rows_of(kind: str, *, shuffled: bool = False) -> LabelledRows:
    task = task_from_spec(TaskSpec(name="own", kind=kind, labels=SPEC))
    names = [name for _ in range(20) for name in REASONS]
    texts = [f"{REASONS[name]}, said letter {number} of {number * 7} " for number, name in enumerate(names)]
    gold = multi_hot([[name] for name in names], list(task.labels))
    if shuffled:
        gold = gold[np.random.default_rng(0).permutation(len(gold))]
    return LabelledRows(task, texts, gold, None, np.arange(len(texts)) % 5)


def material_of(rows: LabelledRows) -> Material:
    foundation = shipped_foundation()
    inputs = inputs_of(foundation, "shipped")
    return Material.of(foundation, [*rows.texts, *rows.definitions()], inputs, max_length=64)


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
def test_rows_are_scored_by_what_has_not_seen_them(kind) -> None:
    told, chance = [], []
    for shuffled, found in ((False, told), (True, chance)):
        rows = rows_of(kind, shuffled=shuffled)
        material = material_of(rows)
        for one in inputs_of(material.foundation, "shipped"):
            for tried in cross_fit(rows, material, one, [30.0, 300.0]):
                scores, loss = tried.scores(rows)
                assert scores.n == len(rows.texts) and loss > 0
                found.append(scores.micro_f1)
    assert min(told) > 0.95
    assert max(chance) < 0.6  # any of them would know by heart the rows that it was trained on


def test_definitions_stand_for_labels_that_are_rare() -> None:
    rows = rows_of("multi_class")
    texts, gold = rows.training(np.arange(30))
    assert texts.tolist() == [*range(30), len(rows.texts) + 3]  # the war alone
    assert gold[-1].tolist() == [False, False, False, True] and rows.definitions()[3] == "war"
    assert rows.definitions()[0] == "accrual: slow recruitment"
    texts, _ = rows.training(np.arange(12))
    assert len(texts) == 12 + 4
    material = material_of(rows)
    [one] = fitted(rows, material, inputs_of(material.foundation, "shipped")[0], np.arange(60), [300.0])
    assert one.probabilities()[-1].argmax() == 3


def test_one_part_is_scored_by_what_was_trained_on_the_other() -> None:
    whole = rows_of("multi_label")
    rows = replace(whole, fold=np.where(np.arange(60) < 40, -1, 0))
    material = material_of(rows)
    inputs = inputs_of(material.foundation, "shipped")[0]
    [tried] = cross_fit(rows, material, inputs, [30.0])
    [alone] = fitted(rows, material, inputs, np.arange(40), [30.0])
    np.testing.assert_array_equal(tried.probabilities, alone.probabilities()[40:60])
    assert tried.scores(rows)[0].n == 20


def test_classes_drawn_evenly_get_their_true_shares() -> None:
    rows = rows_of("multi_class")
    common = replace(rows, weights=np.where(rows.gold[:, 0], 10.0, 1.0))
    material = material_of(rows)
    inputs = inputs_of(material.foundation, "tf-idf")[0]
    [plain], [moved] = (cross_fit(one, material, inputs, [1.0]) for one in (rows, common))
    assert moved.probabilities[:, 0].mean() > plain.probabilities[:, 0].mean() + 0.1
    np.testing.assert_allclose(moved.probabilities.sum(axis=1), 1)
