"""Estimates shares of labels over a registry from its predicted labels and a few hundred hand labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trialtune import __version__
from trialtune.classifier.crosswalk_columns import Named, crosswalks_for
from trialtune.errors import UsageError
from trialtune.estimation.classes import Classes, classes_of
from trialtune.estimation.gold_rows import GoldRows, read_gold
from trialtune.estimation.independence import check_independent, classifier_of
from trialtune.estimation.known import Known, known_labels
from trialtune.estimation.lines import Estimator, Grouped, difference_lines, share_lines, trend_lines
from trialtune.estimation.out_of_fold import with_out_of_fold
from trialtune.estimation.paragraph import methods_paragraph, notes_of
from trialtune.estimation.population import Population, read_population
from trialtune.estimation.result import ALL, EstimateResult
from trialtune.estimation.settings import EstimateSettings
from trialtune.estimation.tally import Counted, Gold, everything
from trialtune.tasks.task import Task


@dataclass(frozen=True)
class Question:
    """The question: groups, comparisons between them, conditions, and classes in addition to the labels.

    `by` names columns (see `read_population`); `compare` those whose groups are compared with all others,
    or `GROUP=VALUE` with the trials of one value. `combine` has classes written `NAME=A|B` or `NAME=A&B`.
    """

    by: Sequence[str] = ()
    compare: Sequence[str] = ()
    where: str | None = None
    combine: Sequence[str] = ()
    crosswalks: Sequence[Named] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """All grouping columns, each once."""
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
    """Estimate the share of each label, with confidence intervals that account for classifier errors.

    Args:
        labels: An output folder of `apply`, or a table of `nct_id` and `labels`, with `probabilities` or not.
        gold: Hand labels of rows that `plan_estimate` drew; see `read_gold`.
        task: The task of the labels, if it is not a shipped one and `labels` is a table without its name.
        trials: A snapshot, or a table with `nct_id` and the grouping columns.
        by: Groups: `year`, `phase`, `sponsor_class`, `country`...; see `read_population`.
        compare: Groups to compare: `sponsor_class` (each with all others), or `phase=PHASE3` (each with it).
        where: A condition in SQL that selects the trials.
        combine: Additional classes: `NAME=LABEL|LABEL` (any of them), `NAME=LABEL&LABEL` (all of them).
        crosswalks: Crosswalks whose classes are estimated too.
        known: "shipped", or a table of `nct_id` and `labels`: trials whose labels are known.
        classifier: The classifier of the labels, if not a shipped one; to check that no gold rows trained it.
        out_of_fold: Predictions of `crossfit` for the gold rows, if the classifier was trained on them.
        assume_random: Treat gold rows without drawing probabilities, or known ones, as a random sample.
        settings: Method, level, minimum gold rows.

    Returns:
        Shares, differences and trends with bounds, and a paragraph for a methods section.

    Raises:
        DataError: The hand labels do not match the labels, or would bias the estimate; see `read_gold`,
            `check_independent`.
        UsageError: There is no such group, label or crosswalk.

    Examples:
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
    if settings.method == "ppi" and population.stated is None:
        raise UsageError(f"--method ppi: {labels} has no probabilities; choose another method")
    classes = classes_of(population.task, combine, crosswalks_for(population.task, question.crosswalks))
    labelled_before = known_labels(known, population) if known else Known.none(population)
    independent = None
    if gold is None:
        rows, labelled_before = _of_known(population, labelled_before, assume_random)
    else:
        rows = read_gold(Path(gold), population, others=~labelled_before.rows, assume_random=assume_random)
        if out_of_fold:
            population, independent = with_out_of_fold(population, rows, Path(out_of_fold)), True
        elif settings.method not in ("hand", "exact"):  # which do not use predictions
            opened = classifier_of(population, classifier)
            independent = opened is not None and check_independent(population, rows, opened.path)
    covered = gold is not None or assume_random
    asked = _Asked(population, classes, labelled_before, rows, covered, independent)
    estimator = Estimator(
        asked.gold(),
        classes.names,
        settings,
        labelled_before.noise,
        from_known=gold is None and assume_random,
    )
    return asked.answer(question, estimator)


def _of_known(population: Population, known: Known, assume_random: bool) -> tuple[GoldRows, Known]:
    """Only known labels: of all trials, or, if the user asserts it, of a random sample."""
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
    return rows, Known(np.zeros_like(known.rows), known.holds, known.noise) if assume_random else known


@dataclass(frozen=True)
class _Asked:
    """A population with its gold rows; `covered`: these represent all rows without known labels.

    `independent`: see `EstimateResult`.
    """

    population: Population
    classes: Classes
    known: Known
    rows: GoldRows
    covered: bool
    independent: bool | None

    def gold(self) -> Gold:
        """The gold rows, by classes."""
        population, places = self.population, self.rows.places
        stated = population.stated
        return Gold(
            self.classes.members(self.rows.holds),
            self.classes.members(population.predicted[places]),
            None if stated is None else self.classes.probabilities(stated[places]),
            self.rows.weights,
        )

    def answer(self, question: Question, estimator: Estimator) -> EstimateResult:
        """The whole result, with notes and a paragraph."""
        population, settings = self.population, estimator.settings
        counted = self._counted()
        cells = {ALL: everything(len(population)), **population.groups}
        grouped = {
            name: Grouped.of(name, group, counted.tally(group), estimator) for name, group in cells.items()
        }
        compared = [
            line
            for text in question.compare
            for name, _, reference in [text.partition("=")]
            for line in difference_lines(grouped[name], grouped[ALL], reference or None, estimator)
        ]
        within, known = population.within, self.known.rows
        outside = 0 if self.covered else int((within & ~known).sum())
        result = EstimateResult(
            version=__version__,
            task=population.task.name,
            classifier=population.classifier,
            level=settings.level,
            alternative=settings.alternative,
            trials=int(within.sum()) - outside,
            without_text=population.without_text,
            known=int((within & known).sum()),
            outside=outside,
            where=question.where,
            noise=self.known.noise,
            gold=self.rows.counts if self.rows.labelled else None,
            independent=self.independent,
            columns=dict(population.columns),
            shares=tuple(line for group in grouped.values() for line in share_lines(group, estimator)),
            differences=tuple(compared),
            trends=tuple(line for name in question.by for line in trend_lines(grouped[name], estimator)),
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
