"""Agreement by tables worked out by hand."""

import pytest

from trialtune.annotation.agreement import agreement, alpha, kappa, masi, nominal
from trialtune.dataset.answers import ADJUDICATED, UNSURE, Answer

# Krippendorff's own example (Computing Krippendorff's Alpha-Reliability, 2011, part C): four observers,
# twelve units, values missing; nominal alpha .743. The last unit has one value and does not count.
_OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
UNITS = [[value for value in unit if value is not None] for unit in zip(*_OBSERVERS, strict=True)]


def test_alpha_as_krippendorff_worked_it_out() -> None:
    assert alpha([unit for unit in UNITS if len(unit) > 1], nominal) == pytest.approx(0.743, abs=5e-4)
    assert alpha([["a", "a"], ["a", "a"]], nominal) is None
    # Two texts, one alike: values a a, a b. Observed 2 of 4; expected pairs 6 of 12: 1 - (2 * 3) / 6.
    assert alpha([["a", "a"], ["a", "b"]], nominal) == pytest.approx(0)


def test_kappa_of_a_table_of_two_by_two() -> None:
    # Yes/yes 20, yes/no 5, no/yes 10, no/no 15: observed .7, expected .5 * .6 + .5 * .4 = .5.
    said = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa(said) == pytest.approx(0.4)
    assert kappa([("y", "y")]) is None and kappa([]) is None


def test_masi() -> None:
    assert masi(("a", "b"), ("b", "a")) == 0
    assert masi(("a",), ("a", "b")) == pytest.approx(1 - 1 / 2 * 2 / 3)
    assert masi(("a", "b"), ("b", "c")) == pytest.approx(1 - 1 / 3 * 1 / 3)
    assert masi(("a",), ("b",)) == 1 == masi((), ("a",))


def test_of_annotators() -> None:
    def say(text: str, name: str, *labels: str, status: str = "labelled") -> Answer:
        return Answer("", text, labels, name, status=status)

    answers = [
        *(say("one", name, "a") for name in "XY"),
        *(say("two", name, *labels) for name, labels in (("X", "ab"), ("Y", "a"))),
        say("three", "X", "b"),
        say("three", "Y", "a"),
        say("three", "Y", "b"),  # later: this counts
        say("four", "X", "a"),
        say("four", "Y", status=UNSURE),
        say("two", "Z", "a", status=ADJUDICATED),
    ]
    found = agreement(answers, ["a", "b"], kind="multi_label")
    assert (found.texts, found.disagreements, found.adjudicated) == (3, 1, 1)
    [pair] = found.pairs
    assert (pair.annotators, pair.texts, pair.same) == (("X", "Y"), 3, 2)
    # Of b: X no yes yes, Y no no yes. Observed 2/3; expected (1 * 2 + 2 * 1) / 9.
    assert found.labels[1].kappa == pytest.approx((2 / 3 - 4 / 9) / (5 / 9))
    assert found.labels[0].kappa == 1 and found.labels[1].given == {"X": 2, "Y": 1}
