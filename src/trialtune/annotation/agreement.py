"""Inter-annotator agreement: Cohen's kappa of each pair, Krippendorff's alpha, label by label."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import combinations
from typing import TypeVar

from trialtune.dataset.answers import LABELLED, Answer, latest
from trialtune.results import Result

_Value = TypeVar("_Value", bound=Hashable)


class LabelAgreement(Result):
    """Agreement on one label; None where every annotator uses it alike, so that chance explains all."""

    label: str
    kappa: float | None  # of the pair; the mean over the pairs where there are several
    alpha: float | None
    given: dict[str, int]  # annotator -> texts with the label, of those labelled by others too


class Pair(Result):
    """Agreement of two annotators."""

    annotators: tuple[str, str]
    texts: int  # labelled by both
    same: int  # with exactly the same labels
    kappa: float | None  # of whole answers, each set of labels being a category


class Agreement(Result):
    """Agreement of the annotators of a labels file."""

    texts: int  # labelled by two or more
    disagreements: int  # texts of these whose labels are not identical
    adjudicated: int
    alpha: float | None  # Krippendorff's, of whole answers: MASI distance, nominal for multi-class tasks
    pairs: tuple[Pair, ...]
    labels: tuple[LabelAgreement, ...]


def agreement(answers: Sequence[Answer], labels: Sequence[str], *, kind: str) -> Agreement:
    """Agreement of each annotator's last answers on texts labelled by two or more.

    Unsure and skipped texts do not count. Cohen's kappa (1960) compares two annotators; Krippendorff's
    alpha (Content Analysis, 2004, chapter 11) any number, with missing answers. Sets of labels
    are compared by the MASI distance (Passonneau, 2006).
    """
    found = latest(answers)
    units = [
        {name: answer.labels for name, answer in said.items() if name and answer.status == LABELLED}
        for said in found.values()
    ]
    units = [unit for unit in units if len(unit) > 1]
    names = sorted({name for unit in units for name in unit})
    pairs = [pair for pair in combinations(names, 2) if any({*pair} <= unit.keys() for unit in units)]
    whole = [[*unit.values()] for unit in units]
    return Agreement(
        texts=len(units),
        disagreements=sum(len(set(values)) > 1 for values in whole),
        adjudicated=sum("" in said for said in found.values()),
        alpha=alpha(whole, masi if kind == "multi_label" else nominal),
        pairs=tuple(_pair(pair, units) for pair in pairs),
        labels=tuple(_label(label, units, pairs, names) for label in labels),
    )


def kappa(pairs: Sequence[tuple[_Value, _Value]]) -> float | None:
    """Cohen's kappa of two annotators' answers to the same texts; None where chance alone explains all."""
    if not pairs:
        return None
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    observed = sum(one == other for one, other in pairs) / len(pairs)
    expected = sum(first[value] * second[value] for value in first) / len(pairs) ** 2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def alpha(units: Sequence[Sequence[_Value]], distance: Callable[[_Value, _Value], float]) -> float | None:
    """Krippendorff's alpha: 1 - observed / expected disagreement; None where no two values differ.

    `units` are the values of each text, two or more. `distance` is 0 for equal values.
    """
    totals = Counter(value for unit in units for value in unit)
    count = sum(totals.values())
    observed = sum(
        2 * sum(distance(one, other) for one, other in combinations(unit, 2)) / (len(unit) - 1)
        for unit in units
    )
    expected = sum(
        2 * times * totals[other] * distance(one, other)
        for (one, times), other in (((one, totals[one]), other) for one, other in combinations(totals, 2))
    )
    return None if not expected else 1 - observed * (count - 1) / expected


def nominal(one: Hashable, other: Hashable) -> float:
    """0 for equal values, 1 for others."""
    return float(one != other)


def masi(one: Sequence[str], other: Sequence[str]) -> float:
    """The distance of two sets of labels: 1 - Jaccard * monotonicity (Passonneau, 2006)."""
    first, second = set(one), set(other)
    if first == second:
        return 0.0
    both = first & second
    # 2/3 where one contains the other, 1/3 where they overlap.
    monotone = 2 / 3 if both in (first, second) else 1 / 3
    return 1 - len(both) / len(first | second) * monotone


def _pair(names: tuple[str, str], units: Sequence[Mapping[str, tuple[str, ...]]]) -> Pair:
    said = _both(names, units)
    return Pair(
        annotators=names, texts=len(said), same=sum(one == other for one, other in said), kappa=kappa(said)
    )


def _both(
    names: tuple[str, str], units: Sequence[Mapping[str, tuple[str, ...]]]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    first, second = names
    return [(unit[first], unit[second]) for unit in units if first in unit and second in unit]


def _label(
    label: str,
    units: Sequence[Mapping[str, tuple[str, ...]]],
    pairs: Sequence[tuple[str, str]],
    names: Sequence[str],
) -> LabelAgreement:
    kappas = [kappa([(label in one, label in other) for one, other in _both(pair, units)]) for pair in pairs]
    known = [value for value in kappas if value is not None]
    return LabelAgreement(
        label=label,
        kappa=sum(known) / len(known) if known else None,
        alpha=alpha([[label in said for said in unit.values()] for unit in units], nominal),
        given={name: sum(label in unit.get(name, ()) for unit in units) for name in names},
    )
