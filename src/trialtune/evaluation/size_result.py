"""The result of a comparison over training sizes: the content of `sizes.json`, and a summary."""

from collections.abc import Sequence

from trialtune.evaluation.intervals import AverageIntervals, Difference
from trialtune.evaluation.verdict import p_text
from trialtune.results import Result
from trialtune.tasks.task import Kind

# An effect of this many standard errors is found with 80% power at p < 0.05 (normal distribution).
_FOUND, _HALF_WIDTH = 2.80, 1.96


class SizeScores(Result):
    """A system's scores at a size: means over draws, 95% intervals over rows and draws, seconds per run."""

    micro_f1: float
    macro_f1: float
    intervals: AverageIntervals
    seconds: float


class SizeDifference(Result):
    """A system minus the base at a size; `p_holm` is corrected over the sizes.

    `detectable` is the difference in macro-F1 that would have been found with 80% power.
    """

    micro_f1: Difference
    macro_f1: Difference
    detectable: float


class SizePoint(Result):
    """One training size: `rows` of each draw, every system's scores, `differences` to the base by name."""

    rows: int
    draws: int
    systems: dict[str, SizeScores]
    differences: dict[str, SizeDifference]


class SizesResult(Result):
    """Systems on nested training sets of growing size, on the same test rows."""

    task: str
    kind: Kind
    test: int
    titles: dict[str, str]
    points: tuple[SizePoint, ...]
    verdicts: dict[str, str]


def size_verdict(name: str, title: str, points: Sequence[SizePoint]) -> str:
    """A summary: at which sizes a system differs from the base, or the minimum detectable difference."""
    compared = [(point.rows, point.differences[name]) for point in points if name in point.differences]
    clear = [(rows, found.macro_f1) for rows, found in compared if found.macro_f1.is_clear]
    rest = [(rows, found.detectable) for rows, found in compared if not found.macro_f1.is_clear]
    sentences = []
    for better, chosen in (
        ("better", [(rows, one) for rows, one in clear if one.mean > 0]),
        ("worse", [(rows, one) for rows, one in clear if one.mean < 0]),
    ):
        if chosen:
            sizes = "; ".join(
                f"{one.mean:+.3f} [{one.low:+.3f}, {one.high:+.3f}] at {rows:,}, p {_p(one)}"
                for rows, one in chosen
            )
            sentences.append(
                f"{title} is {better} than the base at {_listed(chosen)} labels: macro-F1 {sizes}."
            )
    if rest and clear:
        sentences.append(
            f"At {_listed(rest)} labels none is measurable; one of {_range(rest)} would have been found with"
            " 80% power."
        )
    elif rest:
        sentences.append(
            f"{title}: no measurable difference to the base from {compared[0][0]:,} to {compared[-1][0]:,}"
            f" labels; one of {_range(rest)} in macro-F1 would have been found with 80% power."
        )
    return " ".join(sentences)


def detectable(difference: Difference) -> float:
    """The difference that would have been found with 80% power at p < 0.05, from an interval's width."""
    return _FOUND * (difference.high - difference.low) / (2 * _HALF_WIDTH)


def _range(found: Sequence[tuple[int, float]]) -> str:
    """From the least to the most of them, or the only one."""
    ends = [f"{end(one for _, one in found):.3f}" for end in (min, max)]
    return " to ".join(dict.fromkeys(ends))


def _p(one: Difference) -> str:
    return "–" if one.p_holm is None else p_text(one.p_holm)


def _listed(found: Sequence[tuple[int, object]]) -> str:
    sizes = [f"{rows:,}" for rows, _ in found]
    return sizes[0] if len(sizes) == 1 else f"{', '.join(sizes[:-1])} and {sizes[-1]}"
