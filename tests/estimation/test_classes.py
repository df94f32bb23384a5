"""What shares are asked of: labels, combinations of them, classes of a crosswalk."""

import numpy as np
import pytest

from trialtune.errors import UsageError
from trialtune.estimation.classes import classes_of
from trialtune.tasks.catalog import load_task
from trialtune.tasks.crosswalk import shipped_crosswalks

REASONS, SEX = load_task("stop-reasons"), load_task("sex")


def test_a_tasks_own_labels_are_classes() -> None:
    classes = classes_of(REASONS)
    assert classes.names == tuple(REASONS.labels)
    labels = np.random.default_rng(0).random((30, 17)) < 0.3
    assert (classes.members(labels) == labels).all()
    stated = np.random.default_rng(0).random((30, 17)).astype(np.float32)
    np.testing.assert_allclose(classes.probabilities(stated), stated, atol=1e-6)


def test_any_and_all_of_some_labels() -> None:
    classes = classes_of(
        REASONS, ["harm = Safety_Sideeffects | Negative", "both=Negative&Success", "one=Success"]
    )
    assert classes.names[17:] == ("harm", "both", "one")
    names = list(REASONS.labels)
    safety, negative, success = (names.index(name) for name in ("Safety_Sideeffects", "Negative", "Success"))
    labels = np.random.default_rng(1).random((200, 17)) < 0.5
    harm, both, one = classes.members(labels)[:, 17:].T
    assert (harm == (labels[:, safety] | labels[:, negative])).all()
    assert (both == (labels[:, negative] & labels[:, success])).all()
    assert (one == labels[:, success]).all()
    stated = np.random.default_rng(1).random((200, 17)).astype(np.float32)
    harm, both, one = classes.probabilities(stated)[:, 17:].T
    np.testing.assert_allclose(harm, 1 - (1 - stated[:, safety]) * (1 - stated[:, negative]), rtol=1e-5)
    np.testing.assert_allclose(both, stated[:, negative] * stated[:, success], rtol=1e-5)
    np.testing.assert_allclose(one, stated[:, success], rtol=1e-5)


def test_labels_that_exclude_each_other() -> None:
    classes = classes_of(SEX, ["one=MALE|FEMALE", "never=MALE&FEMALE"])
    stated = np.array([[0.5, 0.3, 0.2]], dtype=np.float32)  # ALL, FEMALE, MALE
    assert classes.probabilities(stated)[0, 3:] == pytest.approx([0.5, 0])


def test_classes_of_a_crosswalk() -> None:
    [crosswalk] = [one for one in shipped_crosswalks().values() if one.task == "stop-reasons"][:1]
    classes = classes_of(REASONS, crosswalks=[crosswalk])
    given = [name for name in crosswalk.classes if crosswalk.labels_of(name)]
    assert classes.names[17:] == tuple(f"{crosswalk.name}: {name}" for name in given)
    labels = np.random.default_rng(2).random((100, 17)) < 0.1
    names = list(REASONS.labels)
    for place, name in enumerate(given, start=17):
        places = [names.index(label) for label in crosswalk.labels_of(name)]
        assert (classes.members(labels)[:, place] == labels[:, places].any(axis=1)).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Success|Negative", "write NAME=LABEL.LABEL"),
        ("=Success", "write NAME=LABEL"),
        ("x=Success&Negative|Regulatory", "write NAME=LABEL"),
        ("x=Sucess", "no label 'Sucess'; did you mean 'Success'"),
        ("x=", "no label ''"),
        ("Success=Success|Negative", "'Success': two classes have this name"),
    ],
)
def test_combinations_that_cannot_be_read(text, said) -> None:
    with pytest.raises(UsageError, match=said):
        classes_of(REASONS, [text])
