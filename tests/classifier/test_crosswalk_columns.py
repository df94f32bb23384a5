"""Crosswalks beside predictions: classes agree with the labels, probabilities keep to their bounds."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.crosswalk_columns import crosswalks_for, joint_probability, with_crosswalks
from trialtune.classifier.prediction import PREDICTION_SCHEMA, prediction_schema
from trialtune.dataset.tables import write_table
from trialtune.errors import UsageError
from trialtune.tasks.catalog import load_task
from trialtune.tasks.crosswalk import shipped_crosswalks

TASK = load_task("stop-reasons")
LABELS = list(TASK.labels)
SHIPPED = crosswalks_for(TASK, shipped_crosswalks())


def predictions(labels: list[list[str] | None], stated: list[dict[str, float] | None]) -> pl.DataFrame:
    types: dict[str, Any] = {name: prediction_schema(LABELS)[name] for name in ("labels", "probabilities")}
    return pl.DataFrame({"labels": labels, "probabilities": stated}, schema=types)


row = st.tuples(
    st.sets(st.sampled_from(LABELS)),
    st.lists(st.floats(0, 1, width=32), min_size=len(LABELS), max_size=len(LABELS)),
)


@settings(max_examples=60)
@given(st.lists(st.none() | row, max_size=4))
def test_a_class_is_there_if_and_only_if_one_of_its_labels_is(rows) -> None:
    labels = [one and [label for label in LABELS if label in one[0]] for one in rows]
    stated = [one and {name: round(p, 6) for name, p in zip(LABELS, one[1], strict=True)} for one in rows]
    found = with_crosswalks(predictions(labels, stated), SHIPPED, "multi_label").to_dicts()
    assert len(found) == len(rows)
    for crosswalk in SHIPPED:
        for named, answer in zip(labels, found, strict=True):
            classes, likely, *factor = (answer[column] for column in crosswalk.columns)
            if named is None:
                assert classes is likely is None and not any(factor)
                continue
            assert classes == [
                name for name in crosswalk.classes if set(named) & set(crosswalk.labels_of(name))
            ]
            assert list(likely) == list(crosswalk.classes)
            for name, probability in likely.items():
                each = [answer["probabilities"][label] for label in crosswalk.labels_of(name)]
                assert max(each, default=0) <= probability <= min(1, sum(each)) + 1e-6
                assert len(each) != 1 or probability == each[0]
            if crosswalk.factor:
                assert factor[0] == (0.5 if {"Negative", "Safety_Sideeffects"} & set(named) else 1)
                halving = [answer["probabilities"][label] for label in crosswalk.factor.labels]
                joint = 1 - (1 - halving[0]) * (1 - halving[1])
                assert factor[1] == pytest.approx(joint, abs=2e-6)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_joint_probabilities_lie_within_frechets_bounds(rows) -> None:
    table = np.array(rows)
    joint = joint_probability(table, "multi_label")
    assert (joint >= table.max(axis=1)).all() and (joint <= np.minimum(1, table.sum(axis=1))).all()
    np.testing.assert_allclose(joint, 1 - np.prod(1 - table, axis=1), atol=1e-12)
    for place in range(3):
        assert (joint_probability(table[:, [place]], "multi_label") == table[:, place]).all()
    np.testing.assert_array_equal(joint_probability(table, "multi_class"), np.minimum(1, table.sum(axis=1)))
    assert (joint_probability(table[:, []], "multi_label") == 0).all()


def test_labels_of_one_class_that_exclude_each_other_add_up(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nversion: '1'\ntask: sex\ndescription: d\nsource: s\nclasses: {open: o, closed: c}\n"
        "labels:\n  ALL: {target: open, source: s}\n  FEMALE: {target: closed, source: s}\n"
        "  MALE: {target: closed, source: s}\n"
    )
    sex = load_task("sex")
    types: dict[str, Any] = prediction_schema(list(sex.labels))
    rows = pl.DataFrame(
        {"labels": [["MALE"]], "probabilities": [{"ALL": 0.2, "FEMALE": 0.3, "MALE": 0.5}]},
        schema={name: types[name] for name in ("labels", "probabilities")},
    )
    [answer] = with_crosswalks(rows, crosswalks_for(sex, path), sex.kind).to_dicts()
    assert answer["mine"] == ["closed"]
    assert answer["mine_probabilities"] == pytest.approx({"open": 0.2, "closed": 0.8})


@pytest.fixture(scope="module")
def classifier(make_classifier, tmp_path_factory) -> Classifier:
    folder = make_classifier("stop-reasons", tmp_path_factory.mktemp("crosswalk") / "clf")
    return Classifier.from_pretrained(folder)


def test_predict_frame_has_the_columns_behind_its_own(classifier, tmp_path) -> None:
    frame = pl.DataFrame({"text": ["slow recruitment", None, "safety concern"]})
    plain = classifier.predict_frame(frame)
    found = classifier.predict_frame(frame, crosswalks=["open_targets", "scientific"])
    added = [column for one in crosswalks_for(TASK, ["open_targets", "scientific"]) for column in one.columns]
    assert found.columns == [*PREDICTION_SCHEMA, *added]
    assert found.select(PREDICTION_SCHEMA).equals(plain)
    assert [found[column].is_null().to_list() for column in added] == [[False, True, False]] * len(added)
    assert classifier.predict_frame(frame.clear(), crosswalks="fhir").schema == (
        classifier.predict_frame(frame, crosswalks="fhir").schema
    )
    write_table(found, tmp_path / "out.csv")
    cells = pl.read_csv(tmp_path / "out.csv")
    assert cells["open_targets"].to_list() == [
        one if one is None else "|".join(one) for one in found["open_targets"].to_list()
    ]
    first = found["open_targets_probabilities"][0]
    assert cells["open_targets_probability_Neutral"][0] == pytest.approx(first["Neutral"])
    assert "probability_Negative" in cells.columns and cells["open_targets_score_factor"][0] in (0.5, 1)


def test_crosswalks_that_do_not_fit_are_refused(classifier) -> None:
    frame = pl.DataFrame({"text": ["slow recruitment"]})
    for named, said in (
        (["fhir", "fhir"], "given twice"),
        ("fihr", "did you mean 'fhir'"),
    ):
        with pytest.raises(UsageError, match=said):
            classifier.predict_frame(frame, crosswalks=named)
    with pytest.raises(UsageError, match="is for the task 'stop-reasons', not 'sex'"):
        crosswalks_for(load_task("sex"), "fhir")
    fhir = shipped_crosswalks()["fhir"]
    with pytest.raises(UsageError, match="predictions has a column 'labels' too"):
        crosswalks_for(TASK, [fhir.model_copy(update={"name": "labels"})])
    with pytest.raises(UsageError, match="open_targets has a column 'open_targets_probabilities' too"):
        crosswalks_for(TASK, ["open_targets", fhir.model_copy(update={"name": "open_targets_probabilities"})])
