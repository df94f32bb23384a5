"""An estimate in words: caveats, and a paragraph for a methods section."""

from collections.abc import Iterable, Mapping

from trialtune.estimation.result import ALL, EstimateResult, Expected, Share
from trialtune.estimation.settings import EstimateSettings
from trialtune.registry.groups import NOT_GIVEN
from trialtune.tasks.task import Task

_SHOWN = 5  # groups without shares, by name
_SOURCES = {
    "stratified": "post-stratified by the predicted label, with Wilson score intervals of the strata's"
    " effective sample sizes (Brown, Cai and DasGupta, 2001; Korn and Graubard, 1998) combined by the"
    " method of variance"
    " estimates recovery (Donner and Zou, 2012)",
    "ppi": "prediction-powered with power tuning (PPI++; Angelopoulos, Duchi and Zrnic, 2023) with Wilson"
    " score intervals of the effective sample size",
    "hand": "from the hand labels alone, with Wilson score intervals (Brown, Cai and DasGupta, 2001)",
    "exact": "from the hand labels alone, with Clopper-Pearson intervals of the effective sample size (Korn"
    " and Graubard, 1998)",
    "known": "by counting, as all labels are known",
}


def notes_of(result: EstimateResult, settings: EstimateSettings) -> tuple[str, ...]:
    """Caveats: what was left out, assumed or skipped, with counts."""
    notes = []
    gold = result.gold
    if result.without_text:
        notes.append(f"{result.without_text:,} trials have no text of this task: shares are of the others.")
    if result.outside:
        notes.append(
            f"{result.outside:,} trials are left out: they have no known label, and no random sample covers"
            " them."
        )
    if gold and gold.assumed_random:
        notes.append(
            "The gold rows are assumed to be a random sample: if they are not, the intervals mislead."
        )
    if gold and gold.later:
        notes.append(
            f"{gold.later:,} of {gold.drawn:,} drawn rows are not labelled yet; those before them represent"
            " all."
        )
    if gold and gold.skipped:
        notes.append(
            f"{gold.skipped:,} drawn rows were skipped and are assumed to be like the labelled rows of their"
            " stratum. If they were skipped for being hard, intervals may not cover the true shares."
        )
    if gold and gold.changed:
        notes.append(
            f"{gold.changed:,} labelled rows are left out: their text has changed since they were drawn."
        )
    if gold and gold.aside:
        notes.append(f"{gold.aside:,} labelled rows are left out: they were not drawn at random.")
    if result.independent is False:
        notes.append(
            "It is unknown whether the classifier was trained on the hand labels, which would make intervals"
            " too narrow: give it as --classifier, if its folder lists its training rows."
        )
    if result.noise:
        notes.append(
            f"Known labels come from a single annotation pass: intervals are widened by {result.noise:.1%} of"
            " the share that rests on them, the upper bound of that pass's errors."
        )
    bare = {(one.group, one.value): one for one in result.shares if one.method == "none"}
    if bare:
        lacking = [
            f"{value}: {one.gold} gold row{'' if one.gold == 1 else 's'}, {one.more} more needed"
            for (_, value), one in list(bare.items())[:_SHOWN]
        ]
        others = f"; and {len(bare) - _SHOWN:,} other groups" if len(bare) > _SHOWN else ""
        notes.append(
            f"No shares for {len(bare):,} groups with fewer than {settings.min_gold} gold rows:"
            f" {'; '.join(lacking)}{others}."
        )
    return (*notes, *notes_on_groups(result.shares, result.columns))


def notes_on_groups(lines: Iterable[Share | Expected], columns: Mapping[str, str]) -> list[str]:
    """How many trials have no value of each group; `columns`: group -> what it is derived from."""
    trials = {(one.group, one.value): one.trials for one in lines}
    everyone = trials.get((ALL, ALL), 0)
    notes = []
    for group, column in columns.items():
        given = {value: count for (name, value), count in trials.items() if name == group}
        without = sum(count for value, count in given.items() if NOT_GIVEN in value.split(" / "))
        if without:
            who = f"All {without:,}" if without == everyone else f"{without:,} of {everyone:,}"
            origin = f", which is derived from {column}" if column != group else ""
            notes.append(f"{who} trials have no value of {group}{origin}.")
    return notes


def methods_paragraph(result: EstimateResult, task: Task) -> str:
    """The methods paragraph of a paper, with all numbers."""
    whole = [one for one in result.shares if one.group == ALL]
    gold = result.gold
    by = (
        f"classifier {result.classifier} of trialtune {result.version}"
        if result.classifier
        else "a classifier"
    )
    sentences = [
        f"Each of {result.trials:,} trials was labelled for {task.name} ({len(task.labels)} labels) by {by}."
    ]
    if result.where:
        sentences[0] = sentences[0].replace(" trials was", f" trials ({result.where}) was")
    if result.known:
        sentences.append(f"The labels of {result.known:,} of them were known from hand labelling.")
    if gold:
        drawn = (
            "assumed to be a random sample"
            if gold.assumed_random
            else f"drawn at random from {gold.strata} strata"
            if gold.strata > 1
            else "drawn at random"
        )
        probabilities = " with known drawing probabilities" if gold.strata > 1 else ""
        inside = max((one.gold for one in whole), default=0)
        among = f" ({inside:,} of them among the trials above)" if inside < gold.labelled else ""
        sentences.append(
            f"{gold.labelled:,} trials, {drawn}{probabilities}{among}, were labelled by hand, blinded to"
            " the predictions."
        )
    methods = {name: sum(one.method == name for one in whole) for name in _SOURCES}
    used = [f"{_SOURCES[name]} ({count} of {len(whole)} classes)" for name, count in methods.items() if count]
    sided = {"two-sided": "two-sided", "larger": "one-sided lower", "smaller": "one-sided upper"}
    if used:
        sentences.append(
            f"Shares were estimated {'; '.join(used)}. Intervals are {sided[result.alternative]} at the"
            f" {result.level:.0%} level."
        )
    if result.differences:
        sentences.append(
            "Groups were compared by differences and ratios of shares with intervals from those of the shares"
            " (Zou and Donner, 2008), and p-values corrected over the classes by Holm's method (1979)."
        )
    if result.trends:
        sentences.append("Trends are weighted least-squares slopes of the yearly shares.")
    if result.noise:
        sentences.append(
            "To allow for errors in the known labels, from a single annotation pass, intervals were"
            f" widened by {result.noise:.1%} of the share that rests on them."
        )
    return " ".join(sentences)
