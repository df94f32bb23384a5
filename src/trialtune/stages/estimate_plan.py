"""Plans an estimate: the number of hand labels for a precision, and a sheet of rows to label."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from trialtune import __version__
from trialtune.errors import UsageError
from trialtune.estimation.classes import classes_of
from trialtune.estimation.forecast import MOST, Forecast, rows_by_hand
from trialtune.estimation.hand_labels import CHANCE, STRATUM
from trialtune.estimation.intervals import tail_of
from trialtune.estimation.known import Known, known_labels
from trialtune.estimation.population import Cells, Population, read_population
from trialtune.estimation.result import ALL, Expected, PlanResult
from trialtune.estimation.sampling import Design, assumed_probabilities
from trialtune.estimation.settings import PlanSettings
from trialtune.estimation.tally import Counted, everything
from trialtune.files import atomic_file
from trialtune.settings import nearest
from trialtune.tasks.task import Task

_USUAL = 500  # rows, where neither precision nor rows are given


def plan_estimate(
    labels: Path | str,
    out: Path | str | None = None,
    *,
    task: Task | None = None,
    trials: Path | str | None = None,
    by: Sequence[str] = (),
    where: str | None = None,
    combine: Sequence[str] = (),
    of: Sequence[str] = (),
    known: Path | str | None = None,
    settings: PlanSettings | None = None,
) -> PlanResult:
    """Determine how many rows to label by hand for a precision, and draw them.

    Writes a CSV sheet of `nct_id`, `text`, empty `labels` and `note`, `stratum`, `drawing_probability` and
    `text_hash`, in random order: rows may be labelled from the top until time runs out. Predictions are not
    included. `estimate` takes the filled-in sheet.

    Args:
        labels: As for `estimate`.
        out: The sheet; None to forecast only.
        task: The task of the labels, if it is not a shipped one and `labels` is a table without its name.
        trials: A snapshot, or a table with `nct_id` and the grouping columns.
        by: Groups whose expected precision, and rows needed for the wanted one, are reported too.
        where: A condition in SQL on the trials to draw from; use the same for `estimate`.
        combine: Additional classes; see `estimate`.
        of: The classes whose shares of all rows must reach the precision, and whose uncertain rows are drawn
            more often; default all classes.
        known: Trials whose labels are known, which are not drawn; use the same for `estimate`.
        settings: Precision or rows, design, seed.

    Returns:
        The draw and its expected precision: gold rows and half widths of intervals, by the classifier's own
        probabilities.

    Raises:
        UsageError: More rows are requested than there are, or there is no such class or group.
        DataError: See `read_population`.

    Examples:
        >>> from trialtune import plan_estimate
        >>> from trialtune.estimation.settings import PlanSettings
        >>> plan_estimate(labelled, settings=PlanSettings(rows=100)).rows
        100
    """
    settings = settings or PlanSettings()
    if settings.precision is not None and settings.rows is not None:
        raise UsageError("give --precision or --rows, not both")
    population = read_population(
        Path(labels), task, trials=Path(trials) if trials else None, by=by, where=where
    )
    classes = classes_of(population.task, combine)
    for name in of:
        if name not in classes.names:
            raise UsageError(f"--of {name}: no such class{nearest(name, classes.names)}")
    before = known_labels(known, population) if known else Known.none(population)
    open_rows = np.flatnonzero(population.within & ~before.rows)
    if len(open_rows) < 2:
        raise UsageError(f"{labels}: {len(open_rows)} rows are left to draw from; nothing to estimate")
    predicted = population.predicted[open_rows]
    assumed = population.stated is None
    stated = assumed_probabilities(predicted) if population.stated is None else population.stated[open_rows]
    likely, members = classes.probabilities(stated), classes.members(predicted)
    asked = [classes.names.index(name) for name in of] or list(range(len(classes.names)))
    design = Design.uniform(len(open_rows))
    if settings.design == "stratified":
        design = Design.by_doubt(likely[:, asked])
    tail = tail_of(settings.level, "two-sided")
    nobody = np.zeros(len(open_rows), dtype=bool)
    counted = Counted(members, likely, ~nobody, nobody, np.zeros_like(members), np.arange(0))
    groups = {ALL: everything(len(open_rows))}
    groups |= {name: _among(cells, open_rows, len(population)) for name, cells in population.groups.items()}
    titles = [(name, value) for name, cells in groups.items() for value in cells.names]
    cells = Cells.joined(list(groups.values()))
    forecast = Forecast(members, likely, design, cells, counted.tally(cells), not assumed)
    rows, needed, tried = settings.rows or _USUAL, None, None
    if settings.precision is not None:
        needed, tried = _needed(forecast, asked, settings.precision, tail)
        most = needed[0][0, asked].max()  # the first group is of all rows
        if np.isinf(most):
            raise UsageError(
                f"--precision {settings.precision:g}: needs more than {min(MOST, len(open_rows)):,} hand"
                " labels;"
                " choose a lower one, or fewer classes (--of)"
            )
        rows = int(most)
    if rows > len(open_rows):
        raise UsageError(f"--rows {rows:,}: there are {len(open_rows):,} rows to draw from; choose fewer")
    drawn = design.allocated(rows)
    expected = _expected(titles, forecast, needed, classes.names, (rows, tail))
    if out is not None:
        places, chances = design.draw(rows, settings.seed)
        strata = design.stratum[places] + 1
        _write_sheet(population, open_rows[places], {STRATUM: strata, CHANCE: chances}, Path(out))
    return PlanResult(
        version=__version__,
        task=population.task.name,
        classifier=population.classifier,
        trials=len(open_rows),
        known=int((population.within & before.rows).sum()),
        rows=int(drawn.sum()),
        design=settings.design,
        seed=settings.seed,
        level=settings.level,
        precision=settings.precision,
        tried=tried,
        strata=tuple(map(int, design.sizes)),
        drawn=tuple(map(int, drawn)),
        assumed_probabilities=assumed,
        columns=dict(population.columns),
        expected=tuple(expected),
    )


def _among(cells: Cells, rows: np.ndarray, total: int) -> Cells:
    """The groups of some rows of `total`, numbered from 0."""
    place = np.full(total, -1)
    place[rows] = np.arange(len(rows))
    kept = place[cells.rows] >= 0
    return Cells(cells.names, place[cells.rows[kept]], cells.cells[kept])


def _needed(
    forecast: Forecast, asked: Sequence[int], precision: float, tail: float
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """The hand labels needed for the precision in each group and class, with and without predictions.

    Also the largest number tried for those with predictions.
    """
    tally = forecast.tally
    assert tally.stated is not None
    wanted = np.zeros(tally.predicted.shape, dtype=bool)
    wanted[:, asked] = True
    rows = np.maximum(tally.rows, 1)[:, None]
    share, total = tally.stated / rows, int(forecast.design.sizes.sum())
    part = np.broadcast_to(rows / total, share.shape)
    found, tried = forecast.rows_for(precision, tail, wanted)
    return (found, rows_by_hand(share, part, precision, tail, total)), tried


def _expected(
    titles: Sequence[tuple[str, str]],
    forecast: Forecast,
    needed: tuple[np.ndarray, np.ndarray] | None,
    classes: Sequence[str],
    drawn: tuple[int, float],
) -> list[Expected]:
    """A line for each group and class: the expected precision with the rows drawn."""
    widths, gold = forecast.half_widths(*drawn)
    tally = forecast.tally
    assert tally.stated is not None

    def whole(values: np.ndarray | None, row: int, column: int) -> int | None:
        return None if values is None or np.isinf(values[row, column]) else int(values[row, column])

    with_predictions, by_hand = needed or (None, None)
    return [
        Expected(
            group=group,
            value=value,
            label=label,
            trials=int(tally.rows[row]),
            predicted_share=float(tally.stated[row, column] / tally.rows[row]),
            gold=float(gold[row]),
            half_width=float(widths[row, column]) if np.isfinite(widths[row, column]) else None,
            rows_needed=whole(with_predictions, row, column),
            by_hand=whole(by_hand, row, column),
        )
        for row, (group, value) in enumerate(titles)
        if tally.rows[row]
        for column, label in enumerate(classes)
    ]


def _write_sheet(
    population: Population, places: np.ndarray, drawn: Mapping[str, np.ndarray], out: Path
) -> None:
    """Write the rows at the given indices, with their sampling design."""
    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out {out}: the sheet must be a .csv file")
    if out.exists():
        raise UsageError(f"--out {out}: exists, perhaps with hand labels in it; choose another name")
    if population.texts is None:
        raise UsageError("the labelled rows have no column text, which the sheet needs")
    hashes = population.text_hashes
    nothing = [None] * len(places)
    columns = {
        "nct_id": population.nct_ids[places],
        "text": population.texts[places],
        "labels": nothing,
        "note": nothing,
        **drawn,
        "text_hash": nothing if hashes is None else hashes[places],
    }
    texts = dict.fromkeys(("labels", "note", "text_hash"), pl.String())
    with atomic_file(out) as path:
        pl.DataFrame(columns, schema_overrides=texts).write_csv(path)
