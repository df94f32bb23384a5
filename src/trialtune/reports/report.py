"""The report of a run: one page that works without a network, and its tables and plots as files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trialtune.evaluation.comparison import ComparisonResult
from trialtune.evaluation.error_report import ErrorReport
from trialtune.evaluation.mlm import MlmTraining
from trialtune.evaluation.size_result import SizesResult
from trialtune.files import atomic_file
from trialtune.reports import plots
from trialtune.reports.errors import ClassErrors, class_errors
from trialtune.reports.pages import write_page
from trialtune.reports.plots import Plot
from trialtune.reports.reliability import reliability_plot
from trialtune.reports.run_result import RunResult
from trialtune.reports.size_plots import size_curves
from trialtune.reports.slices import NOTE as SLICE_NOTE
from trialtune.reports.slices import slice_table
from trialtune.reports.summary import SPREAD_NOTE, SystemRow, summary_rows
from trialtune.reports.tables import NOTE, Row, comparison_rows, to_csv, to_markdown
from trialtune.reports.training import (
    Adaptation,
    Change,
    compared,
    section_changes,
    stage_text,
    text_changes,
)

_COUNTS = {
    "train": "Training rows",
    "calibration": "Calibration rows",
    "test": "Test rows",
    "overlap": "Test rows that share a trial or a wording with training rows",
    "near_duplicates": "Test rows that are near-duplicates of a training row",
    "mlm_overlap": "Test rows whose trial an encoder was pre-trained on",
}


@dataclass(frozen=True)
class TaskPart:
    """One task on the page; its files are named after `stem`."""

    name: str
    stem: str
    comparison: ComparisonResult
    rows: list[Row]
    systems: list[SystemRow]
    bars: Plot
    differences: Plot
    reliability: Plot | None  # None for a comparison of rules, which have no probabilities
    counts: list[tuple[str, str]]
    slices: dict[str, list[list[str]]]  # header and rows of each table of scores by slice
    sizes: Plot | None
    size_verdicts: list[str]
    errors: ErrorReport | None
    classes: list[ClassErrors]


@dataclass(frozen=True)
class StagePart:
    """One stage of masked-language-model training on the page."""

    name: str
    title: str
    summary: str
    texts: list[Change]
    sections: list[Change]
    curves: list[Plot]


@dataclass(frozen=True)
class VariantsPart:
    """The adaptation and its variants side by side."""

    rows: list[Adaptation]
    losses: Plot


def write_report(run: RunResult, folder: Path, errors: Mapping[str, ErrorReport] | None = None) -> Path:
    """Write `index.html`, and for each task a .md and .csv table; plots also as `plots/*.png`.

    `errors`, by task, hold texts of trials. Returns the page's path.
    """
    found = errors or {}
    tasks = [
        _task_part(name, result, found.get(name), run.sizes.get(name)) for name, result in run.tasks.items()
    ]
    mlm = {name: result for name, result in run.mlm.items() if result}
    titles = {"base": "Base: trials before the cut", "adapt": "Adapted: trials after the cut"}
    stages = [_stage_part(name, title, mlm[name]) for name, title in titles.items() if name in mlm]
    variants = _variants_part({name: result for name, result in mlm.items() if name != "base"})
    years = plots.trials_by_year(run.data.years) if run.data.years else None
    write_page(
        folder / "index.html",
        "report.html",
        run=run,
        encoder=mlm.get("base", mlm["adapt"]).encoder,
        tasks=tasks,
        stages=stages,
        variants=variants,
        years=years,
        settings=list(_flat(run.settings)),
        note=NOTE,
        spread_note=SPREAD_NOTE,
        slice_note=SLICE_NOTE,
        svg=lambda plot: Markup(plot.svg()),  # generated here, its text escaped by Matplotlib
    )
    for task in tasks:
        _write(folder / f"{task.stem}.md", to_markdown(task.comparison))
        _write(folder / f"{task.stem}.csv", to_csv(task.comparison))
    for plot in _plots(tasks, stages, variants, years):
        plot.save_png(folder / "plots" / f"{plot.name}.png")
    return folder / "index.html"


def _task_part(
    name: str, comparison: ComparisonResult, errors: ErrorReport | None, sizes: SizesResult | None
) -> TaskPart:
    stem = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "task"  # never a path outside the folder
    stated = {system: scores.reliability for system, scores in comparison.systems if scores.reliability}
    return TaskPart(
        name=name,
        stem=stem,
        comparison=comparison,
        rows=comparison_rows(comparison),
        systems=summary_rows(comparison),
        bars=plots.class_bars(stem, comparison),
        differences=plots.class_differences(stem, comparison),
        reliability=reliability_plot(stem, stated) if stated else None,
        counts=[
            (_COUNTS.get(key, key.replace("_", " ").capitalize()), f"{value:,}")
            for key, value in comparison.data
            if isinstance(value, int)
        ],
        slices={
            column: slice_table(parts, column.capitalize()) for column, parts in comparison.slices.items()
        },
        sizes=size_curves(f"{stem}-sizes", sizes) if sizes else None,
        size_verdicts=list(sizes.verdicts.values()) if sizes else [],
        errors=errors,
        classes=class_errors(errors) if errors else [],
    )


def _stage_part(name: str, title: str, result: MlmTraining) -> StagePart:
    return StagePart(
        name=name,
        title=title,
        summary=stage_text(result),
        texts=text_changes(result),
        sections=section_changes(result),
        curves=plots.learning_curves(name, result),
    )


def _variants_part(adaptations: Mapping[str, MlmTraining]) -> VariantsPart | None:
    """None when there is only one adaptation, and nothing to compare."""
    if len(adaptations) < 2:
        return None
    return VariantsPart(compared(adaptations), plots.adaptation_losses(adaptations))


def _plots(
    tasks: list[TaskPart], stages: list[StagePart], variants: VariantsPart | None, years: Plot | None
) -> Iterator[Plot]:
    for task in tasks:
        yield from filter(None, (task.bars, task.differences, task.reliability, task.sizes))
    for stage in stages:
        yield from stage.curves
    if variants:
        yield variants.losses
    if years:
        yield years


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, value) pairs."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)
