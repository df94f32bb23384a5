"""An estimate and its plan: tables for the terminal, files for other programs, a page."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trialtune.estimation.paragraph import notes_on_groups
from trialtune.estimation.result import ALL, Difference, EstimateResult, PlanResult, Share, Trend
from trialtune.estimation.settings import EstimateSettings
from trialtune.evaluation.verdict import p_text
from trialtune.files import atomic_file
from trialtune.reports.groups import heading
from trialtune.reports.pages import plots_of, write_page
from trialtune.results import Result

_NOTHING = "–"
_MIN_GOLD = EstimateSettings().min_gold
_MOST = 40  # rows of comparisons on the page; the table files have all


def write_estimate(result: EstimateResult, out: Path) -> None:
    """Write `shares`, `differences` and `trends` as .parquet and .csv, `estimate.json`, and the page."""
    kinds: tuple[tuple[str, Sequence[Result], type[Result]], ...] = (
        ("shares", result.shares, Share),
        ("differences", result.differences, Difference),
        ("trends", result.trends, Trend),
    )
    out.mkdir(parents=True, exist_ok=True)
    for name, rows, kind in kinds:
        table = _table(rows, kind)
        with atomic_file(out / f"{name}.parquet") as path:
            table.write_parquet(path)
        with atomic_file(out / f"{name}.csv") as path:
            table.write_csv(path)
    result.save(out / "estimate.json")
    write_page(
        out / "index.html",
        "estimate.html",
        result=result,
        totals=_totals(result),
        whole=[one for one in result.shares if one.group == ALL],
        groups=_by_group(result),
        differences=sorted(result.differences, key=_clearness)[:_MOST],
        left_out=max(len(result.differences) - _MOST, 0),
        plots=plots_of("estimate_plots", result),
        share=share_text,
        interval=interval_text,
        ratio=ratio_text,
        reference=reference_text,
        p=p_text,
    )


def estimate_to_rich(result: EstimateResult) -> RenderableType:
    """The shares of all trials, the clearest differences and trends, and the notes, for the terminal."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    _columns(table, "label", "share", f"{result.level:.0%} interval", "predicted", "gold", "method")
    for one in result.shares:
        if one.group == ALL:
            predicted = f"{one.predicted / one.trials:.1%}" if one.method != "known" else _NOTHING
            counted = f"{one.gold_with:,}" if one.gold else _NOTHING
            table.add_row(
                Text(one.label), share_text(one), interval_text(one), predicted, counted, one.method
            )
    parts: list[RenderableType] = [table]
    clear = [one for one in sorted(result.differences, key=_clearness) if one.p_holm < 0.05]
    if result.differences:
        parts += [
            Text(),
            Text(f"{len(clear):,} of {len(result.differences):,} differences are clear (p < .05, Holm)"),
        ]
    parts += [Text(f"  {difference_text(one)}") for one in clear[:10]]
    for trend in result.trends:
        if trend.p_holm >= 0.05:
            continue
        change = (
            f"{100 * trend.per_year:+.2f} points per year ({100 * trend.low:+.2f} to {100 * trend.high:+.2f})"
        )
        when = f"by {heading(trend.group)}, {trend.first} to {trend.last}"
        parts.append(Text(f"  {trend.label} {when}: {change}"))
    parts += [Text(f"note: {note}") for note in result.notes]
    return Group(*parts)


def plan_to_rich(plan: PlanResult) -> RenderableType:
    """The expected precision, for the terminal: for all trials, then for groups."""
    wanted = plan.precision is not None
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    needed = [f"rows for ±{100 * (plan.precision or 0):g}", "by hand only"] if wanted else []
    _columns(table, "label", "predicted", f"± of {plan.rows:,} rows", *needed)
    for one in plan.expected:
        if one.group == ALL:
            cells = [f"{one.predicted_share:.1%}", _points(one.half_width)]
            more = [_needed(one.rows_needed, plan), _needed(one.by_hand, plan)] if wanted else []
            table.add_row(Text(one.label), *cells, *more)
    parts: list[RenderableType] = [table]
    groups = dict.fromkeys((one.group, one.value) for one in plan.expected if one.group != ALL)
    if groups:
        small = Table(box=box.SIMPLE_HEAD, show_edge=False)
        _columns(small, "group", "trials", "gold rows", "widest ±", *needed[:1])
        for group, value in groups:
            lines = [one for one in plan.expected if (one.group, one.value) == (group, value)]
            widths = [one.half_width for one in lines if one.half_width is not None]
            takes = [one.rows_needed for one in lines]
            most = None if None in takes else max(rows or 0 for rows in takes)
            small.add_row(
                Text(f"{heading(group)} {value}"),
                f"{lines[0].trials:,}",
                f"{lines[0].gold:,.0f}",
                _points(max(widths, default=None)),
                *([_needed(most, plan)] if wanted else []),
            )
        parts += [Text(), small]
    strata = f" in {len(plan.strata)} strata" if len(plan.strata) > 1 else ""
    parts += [
        Text(),
        *map(Text, [*_legend(plan), *notes_on_groups(plan.expected, plan.columns)]),
        Text(f"{plan.rows:,} of {plan.trials:,} rows to label by hand{strata}, seed {plan.seed}"),
    ]
    return Group(*parts)


def share_text(one: Share) -> str:
    """A share in percent, with an extra digit where it is small."""
    return _NOTHING if one.share is None else _percent(one.share)


def interval_text(one: Share) -> str:
    """The bounds of a share, or how many gold rows are missing for them."""
    if one.low is None or one.high is None:
        return f"{one.more:,} more gold rows"
    return f"{_percent(one.low)} to {_percent(one.high)}"


def ratio_text(one: Difference) -> str:
    """A ratio with its bounds."""
    if one.ratio is None:
        return _NOTHING
    high = "∞" if one.ratio_high is None else f"{one.ratio_high:.2f}"
    return f"{one.ratio:.2f} ({one.ratio_low or 0:.2f} to {high})"


def reference_text(one: Difference) -> str:
    """What a group was compared with."""
    return "all others" if one.reference is None else one.reference


def difference_text(one: Difference) -> str:
    """A difference in a sentence."""
    return (
        f"{one.label}: {heading(one.group)} {one.value} against {reference_text(one)}"
        f" {100 * one.difference:+.1f} points ({100 * one.low:+.1f} to {100 * one.high:+.1f}), ratio"
        f" {ratio_text(one)}, p {p_text(one.p_holm)}"
    )


def _clearness(one: Difference) -> tuple[float, float]:
    """The sort key of comparisons: many p-values are 1 after the correction, and differ before it."""
    return one.p_holm, one.p


def _columns(table: Table, first: str, *others: str) -> None:
    """Headings: the first column is text, the others numbers; nothing is truncated."""
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="left" if name == "method" else "right", no_wrap=True)


def _by_group(result: EstimateResult) -> dict[str, dict[str, list[Share]]]:
    """Group -> value -> its shares, for the page."""
    found: dict[str, dict[str, list[Share]]] = {}
    for one in result.shares:
        if one.group != ALL:
            found.setdefault(heading(one.group), {}).setdefault(one.value, []).append(one)
    return found


def _totals(result: EstimateResult) -> dict[str, str]:
    counts = {
        "trials": result.trials,
        "without a text for this task": result.without_text,
        "with known labels": result.known,
        "left out": result.outside,
    }
    totals = {name: f"{count:,}" for name, count in counts.items() if count or name == "trials"}
    if result.gold:
        totals["labelled by hand"] = f"{result.gold.labelled:,} of {result.gold.drawn:,} drawn"
    return totals


def _table(rows: Sequence[Result], kind: type[Result]) -> pl.DataFrame:
    kinds = {str: pl.String, int: pl.Int64, float: pl.Float64}
    types = {
        name: next(
            kinds[one]
            for one in kinds
            if one in (field.annotation, *getattr(field.annotation, "__args__", ()))
        )
        for name, field in kind.model_fields.items()
    }
    return pl.DataFrame([row.model_dump() for row in rows], schema=types)


def _percent(value: float) -> str:
    return f"{value:.2%}" if value < 0.0995 else f"{value:.1%}"


def _points(half: float | None) -> str:
    return "too few" if half is None else f"{100 * half:.2f} points"


def _needed(rows: int | None, plan: PlanResult) -> str:
    """A number of rows; where none that was tried suffices, which of them was the largest."""
    if rows is not None:
        return f"{rows:,}"
    tried = plan.tried or plan.trials
    return f"all {plan.trials:,}" if tried >= plan.trials else f"> {tried:,}"


def _legend(plan: PlanResult) -> list[str]:
    """What the cells of the plan's tables mean that are not plain numbers."""
    groups = [one for one in plan.expected if one.group != ALL]
    lines = []
    if plan.precision is not None and any(one.rows_needed is None for one in plan.expected):
        if (plan.tried or 0) < plan.trials:
            lines.append(
                f"> {plan.tried:,}: not reached with {plan.tried:,} rows, the most that were tried; give a"
                " larger --precision, or group more coarsely"
            )
        else:
            lines.append(f"all {plan.trials:,}: the precision is not reached with fewer than all trials")
    if any(one.half_width is None for one in plan.expected):
        lines.append("too few: most draws have fewer than two rows of the group, and so no interval")
    small = len({(one.group, one.value) for one in groups if one.gold < _MIN_GOLD})
    if small:
        lines.append(
            f"groups with fewer than {_MIN_GOLD} gold rows: {small:,}; too few for an interval in `estimate"
            " run` (see its --min-gold); draw more rows, or group more coarsely"
        )
    return lines
