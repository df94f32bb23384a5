"""A comparison's verdict in one or two sentences."""

from collections.abc import Mapping, Sequence

from trialtune.evaluation.intervals import LEVEL, Difference, Differences

_AVERAGES = {"micro_f1": "micro-F1", "macro_f1": "macro-F1"}


def verdict(difference: Differences, metric: str = "macro_f1") -> str:
    """A sentence on the `difference` of `compare`, led by `metric` (macro_f1 or micro_f1).

    A difference is measurable when its interval excludes 0 and, where there is one, its Holm-corrected
    p is below 0.05; a second sentence says where the two disagree.
    """
    averages = {"micro_f1": difference.micro_f1, "macro_f1": difference.macro_f1}
    measurable = [
        name for name in sorted(averages, key=lambda name: name != metric) if averages[name].is_clear
    ]
    said = {name: f"{words} {_told(averages[name])}" for name, words in _AVERAGES.items()}
    dissent = " ".join(
        f"In {words} the two tests disagree: {_disagreement(averages[name])}."
        for name, words in _AVERAGES.items()
        if _disagreement(averages[name])
    )
    return f"{_sentence(averages, measurable, said)} {dissent}".strip()


def _sentence(averages: Mapping[str, Difference], measurable: Sequence[str], said: dict[str, str]) -> str:
    if not measurable:
        return f"No measurable difference between the encoders: {'; '.join(said.values())}."
    lead = measurable[0]
    better = {name: "adapted" if averages[name].mean > 0 else "base" for name in measurable}
    sentence = f"The {better[lead]} encoder is better: adapted minus base, {said.pop(lead)}"
    other, values = said.popitem()
    if other not in measurable:
        return f"{sentence}; no measurable difference in {values}."
    if better[other] == better[lead]:
        return f"{sentence} and {values}."
    return f"{sentence}; but the {better[other]} encoder is better in {values}."


def _told(entry: Difference) -> str:
    chance = "" if entry.p_holm is None else f", p {p_text(entry.p_holm)}"
    return f"{entry.mean:+.3f} (95% interval {entry.low:+.3f} to {entry.high:+.3f}{chance})"


def p_text(p: float) -> str:
    """A p-value in words: three decimals, or below the smallest of these."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _disagreement(entry: Difference) -> str:
    if entry.p_holm is None or entry.excludes_zero == (entry.p_holm < LEVEL):
        return ""
    if entry.excludes_zero:
        return "the interval excludes 0, the randomisation test finds no difference"
    return "the randomisation test finds a difference, the interval, which covers the seeds too, includes 0"
