"""Shares of labels over a registry from its predicted labels and a few hundred hand labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trialtune import __version__
from trialtune.classifier.crosswalk_columns import Named, crosswalks_for
from trialtune.errors import UsageError
from trialtune.estimation.classes import Classes, classes_of
from trialtune.estimation.contrasts import Contrast, differences, ratios, yearly_change
from trialtune.estimation.gold_rows import GoldRows, read_gold
from trialtune.estimation.independence import check_independent, classifier_of
from trialtune.estimation.intervals import Array, tail_of
from trialtune.estimation.known import Known, known_labels
from trialtune.estimation.out_of_fold import with_out_of_fold
from trialtune.estimation.paragraph import methods_paragraph, notes_of
from trialtune.estimation.population import Cells, Population, read_population
from trialtune.estimation.result import ALL, Difference, EstimateResult, GoldCounts, Share, Trend
from trialtune.estimation.settings import EstimateSettings
from trialtune.estimation.shares import METHODS, NONE, Shares, estimate_shares
from trialtune.estimation.tally import Counted, Gold, Tally, everything
from trialtune.evaluation.randomization import holm
from trialtune.settings import nearest
from trialtune.tasks.task import Task

_FEWEST_YEARS = 3


@dataclass(frozen=True)
class Question:
    """What is asked: groups, comparisons between them, conditions and classes besides the task's labels.

    `by` names columns (see `read_population`); `compare` those whose groups are set against all other trials,
    or `GROUP=VALUE` against the trials of one value. `combine` has classes written `NAME=A|B` or `NAME=A&B`.
    """

    by: Sequence[str] = ()
    compare: Sequence[str] = ()
    where: str | None = None
    combine: Sequence[str] = ()
    crosswalks: Sequence[Named] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """All columns that are grouped by, each once."""
        return tuple(dict.fromkeys([*self.by, *(text.partition("=")[0] for text in self.compare)]))


def estimate(
    labels: Path | str,
    gold: Path | str | None = None,
    *,
    task: Task | None = None,
    trials: Path | str | None = None,
    by: Sequence[str] = (),
    compare: Sequence[str] = (),
    where: str | None = None,
    combine: Sequence[str] = (),
    crosswalks: Iterable[Named] = (),
    known: Path | str | None = None,
    classifier: str | None = None,
    out_of_fold: Path | str | None = None,
    assume_random: bool = False,
    settings: EstimateSettings | None = None,
) -> EstimateResult:
    """Estimate the share of each label, with intervals that hold although the classifier errs.

    Args:
        labels: An output folder of `apply`, or a table of `nct_id` and `labels`, with `probabilities` or without.
        gold: Hand labels of rows that `plan_estimate` drew; see `read_gold`.
        task: Whose labels they are, if it is no shipped task.
        trials: A snapshot, or a table by `nct_id`, of what trials are grouped by.
        by: Groups: `year`, `phase`, `sponsor_class`, `country`...; see `read_population`.
        compare: Groups to compare: `sponsor_class` (each against all others), or `phase=PHASE3` (against it).
        where: A condition in SQL on the trials that are asked about.
        combine: Classes more: `NAME=LABEL|LABEL` (any of them), `NAME=LABEL&LABEL` (all of them).
        crosswalks: Crosswalks whose classes are asked about, too.
        known: "shipped", or a table of `nct_id` and `labels`: trials whose labels are known.
        classifier: What gave the labels, if it is no shipped one; to see whether gold rows taught it.
        out_of_fold: What `crossfit` predicts of the gold rows, where the classifier was trained on them.
        assume_random: Take gold rows without drawing probabilities, or the known ones, for a random draw.
        settings: Method, level, fewest gold rows.

    Returns:
        Shares, differences and trends with bounds, and a paragraph for a methods section.

    Raises:
        DataError: The hand labels do not fit the labels, or would mislead; see `read_gold`,
            `check_independent`.
        UsageError: There is no such group, label or crosswalk.

    Example:
        >>> from trialtune import estimate
        >>> result = estimate(labelled, sheet, by=["phase"])
        >>> all(one.low <= one.share <= one.high for one in result.shares if one.share is not None)
        True
    """
    settings = settings or EstimateSettings()
    question = Question(by, compare, where, combine, tuple(crosswalks))
    if gold is None and known is None:
        raise UsageError("no hand labels: give --gold, or --known")
    population = read_population(
        Path(labels), task, trials=Path(trials) if trials else None, by=question.groups, where=where
    )
    classes = classes_of(population.task, combine, crosswalks_for(population.task, question.crosswalks))
    labelled_before = known_labels(known, population) if known else Known.none(population)
    if gold is None:
        rows, labelled_before = _of_known(population, labelled_before, assume_random)
    else:
        rows = read_gold(Path(gold), population, others=~labelled_before.rows, assume_random=assume_random)
        if out_of_fold:
            population = with_out_of_fold(population, rows, Path(out_of_fold))
        elif opened := classifier_of(population, classifier):
            check_independent(population, rows, opened.path)
    asked = _Asked(
        population, classes, labelled_before, rows, settings, covered=gold is not None or assume_random
    )
    return asked.answer(question, from_known=gold is None and assume_random)


def _of_known(population: Population, known: Known, assume_random: bool) -> tuple[GoldRows, Known]:
    """Known labels alone: all that is asked about, or, on the user's word, a random draw."""
    places = np.flatnonzero(known.rows) if assume_random else np.empty(0, dtype=np.int64)
    rows = GoldRows(
        places,
        known.holds[places],
        np.full(len(places), len(population) / max(len(places), 1)),
        drawn=len(places),
        later=0,
        skipped=0,
        changed=0,
        aside=0,
        strata=1,
        assumed=True,
    )
    return rows, known if not assume_random else Known(np.zeros_like(known.rows), known.holds, known.noise)


@dataclass(frozen=True)
class _Asked:
    """A population with its gold rows; `covered` says that these speak for all rows without known labels."""

    population: Population
    classes: Classes
    known: Known
    rows: GoldRows
    settings: EstimateSettings
    covered: bool

    def answer(self, question: Question, *, from_known: bool) -> EstimateResult:
        """All that was asked. `from_known`: the gold rows are known labels, which may have taught the classifier."""
        population, settings, rows = self.population, self.settings, self.rows
        tail = tail_of(settings.level, settings.alternative)
        method = "hand" if from_known else settings.method
        counted, gold = self._counted(), self._gold()
        cells = {ALL: everything(len(population)), **population.groups}
        tallies = {name: counted.tally(group) for name, group in cells.items()}

        def shares_of(tally: Tally) -> Shares:
            noise = self.known.noise
            found = estimate_shares(tally, gold, method=method, min_gold=settings.min_gold, noise=noise)
            return found.noisy(noise) if from_known else found

        shares = {name: shares_of(tally) for name, tally in tallies.items()}
        compared = [
            line for text in question.compare for line in self._compare(text, cells, tallies, shares_of, tail)
        ]
        trends = [
            line for name in question.by for line in self._trend(name, cells[name], tallies, shares, tail)
        ]
        within = population.within
        outside = 0 if self.covered else int((within & ~self.known.rows).sum())
        listed = [
            line
            for name in (ALL, *question.groups)
            for line in _listed(name, cells[name], tallies[name], shares[name], self, tail)
        ]
        result = EstimateResult(
            version=__version__,
            task=population.task.name,
            classifier=population.classifier,
            level=settings.level,
            alternative=settings.alternative,
            trials=int(within.sum()) - outside,
            without_text=population.without_text,
            known=int((within & self.known.rows).sum()),
            outside=outside,
            where=question.where,
            noise=self.known.noise,
            gold=GoldCounts(
                drawn=rows.drawn,
                labelled=rows.labelled,
                later=rows.later,
                skipped=rows.skipped,
                changed=rows.changed,
                aside=rows.aside,
                strata=rows.strata,
                assumed_random=rows.assumed,
            )
            if rows.labelled
            else None,
            shares=tuple(listed),
            differences=tuple(compared),
            trends=tuple(trends),
        )
        result = result.model_copy(update={"notes": notes_of(result, settings)})
        return result.model_copy(update={"paragraph": methods_paragraph(result, population.task)})

    def _counted(self) -> Counted:
        population, known = self.population, self.known
        stated = population.stated
        return Counted(
            self.classes.members(population.predicted),
            None if stated is None else self.classes.probabilities(stated),
            population.within & ~known.rows & self.covered,
            population.within & known.rows,
            self.classes.members(known.holds),
            self.rows.places,
        )

    def _gold(self) -> Gold:
        population, places = self.population, self.rows.places
        stated = population.stated
        return Gold(
            self.classes.members(self.rows.holds),
            self.classes.members(population.predicted[places]),
            None if stated is None else self.classes.probabilities(stated[places]),
            self.rows.weights,
        )

    def _compare(self, text, cells, tallies, shares_of, tail) -> list[Difference]:  # type: ignore[no-untyped-def]
        name, given, reference = text.partition("=")
        tally, names = tallies[name], cells[name].names
        if given and reference not in names:
            raise UsageError(
                f"--compare {text}: {name} has no value {reference!r}{nearest(reference, names)}"
            )
        chosen = np.array([place for place, value in enumerate(names) if value != reference or not given])
        groups = tally.at(chosen)
        if given:
            others = tally.at(np.full(len(chosen), names.index(reference)))
            if (groups.sampled & others.sampled).any():
                raise UsageError(
                    f"--compare {text}: a trial may count in several values of {name}; compare each with all"
                    f" others: --compare {name}"
                )
        else:
            whole = tallies[ALL].at(np.zeros(len(chosen), dtype=np.int64))
            others = whole.minus(groups)
        mine, theirs = shares_of(groups), shares_of(others)
        contrast = differences(mine, theirs)
        p = contrast.p_values()
        low, high = contrast.bounds(tail)
        ratio, ratio_low, ratio_high = ratios(mine, theirs, tail)
        corrected = np.stack([holm(row) for row in p])
        return [
            Difference(
                group=name,
                value=names[place],
                reference=reference or None,
                label=label,
                difference=float(contrast.estimate[row, column]),
                low=float(low[row, column]),
                high=float(high[row, column]),
                ratio=_finite(ratio[row, column]),
                ratio_low=_finite(ratio_low[row, column]),
                ratio_high=_finite(ratio_high[row, column]),
                p=float(p[row, column]),
                p_holm=float(corrected[row, column]),
            )
            for row, place in enumerate(chosen)
            for column, label in enumerate(self.classes.names)
            if np.isfinite(contrast.estimate[row, column])
        ]

    def _trend(self, name, cells, tallies, shares, tail) -> list[Trend]:  # type: ignore[no-untyped-def]
        """The yearly change of each class, where the groups are years."""
        numbered = [place for place, value in enumerate(cells.names) if value.isdigit() and len(value) == 4]
        given = shares[name].at(np.array(numbered, dtype=np.int64))
        there = np.array(
            [place for place, row in zip(numbered, given.methods, strict=True) if (row != NONE).all()]
        )
        if len(there) < _FEWEST_YEARS:
            return []
        years = np.array([int(cells.names[place]) for place in there], dtype=float)
        tally = tallies[name]
        contrast: Contrast = yearly_change(
            shares[name].at(there), years, tally.rows[there] + tally.known_rows[there]
        )
        p = contrast.p_values()
        low, high = contrast.bounds(tail)
        return [
            Trend(
                group=name,
                first=int(years.min()),
                last=int(years.max()),
                years=len(there),
                label=label,
                per_year=float(contrast.estimate[0, column]),
                low=float(low[0, column]),
                high=float(high[0, column]),
                p=float(p[0, column]),
                p_holm=float(corrected),
            )
            for column, (label, corrected) in enumerate(zip(self.classes.names, holm(p[0]), strict=True))
        ]


def _listed(name: str, cells: Cells, tally: Tally, shares: Shares, asked: _Asked, tail: float) -> list[Share]:
    estimate, (low, high) = shares.estimate, shares.bounds(tail)
    low, high = _one_sided(low, high, asked.settings)
    fewest = asked.settings.min_gold
    rows = tally.rows + tally.known_rows
    return [
        Share(
            group=name,
            value=value,
            label=label,
            trials=int(rows[row]),
            predicted=int(tally.predicted[row, column]),
            known=int(tally.known_rows[row]),
            gold=int(shares.gold[row]),
            gold_with=int(shares.gold_with[row, column]),
            share=_finite(estimate[row, column]),
            low=_finite(low[row, column]),
            high=_finite(high[row, column]),
            method=METHODS[shares.methods[row, column]],
            more=max(fewest - int(shares.gold[row]), 0) if shares.methods[row, column] == NONE else 0,
        )
        for row, value in enumerate(cells.names)
        if rows[row]
        for column, label in enumerate(asked.classes.names)
    ]


def _one_sided(low: Array, high: Array, settings: EstimateSettings) -> tuple[Array, Array]:
    """The bounds that are wanted; the other one is the end of the scale."""
    if settings.alternative == "larger":
        high = np.where(np.isnan(high), high, 1.0)
    if settings.alternative == "smaller":
        low = np.where(np.isnan(low), low, 0.0)
    return low, high


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
