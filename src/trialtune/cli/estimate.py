"""`trialtune estimate`: shares of labels with confidence intervals that account for classifier errors."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, app, emit, example
from trialtune.cli.options import settings_options
from trialtune.cli.tasks import Crosswalks, stdout
from trialtune.estimation.settings import EstimateSettings, PlanSettings

estimate = typer.Typer(
    help="Shares of labels over a registry, with confidence intervals that account for classifier errors,"
    " from predicted labels of all trials and hand labels of a few hundred.",
    no_args_is_help=True,
)
app.add_typer(estimate, name="estimate")

Labelled = Annotated[
    Path,
    typer.Argument(
        help="An output folder of `apply`, or a table of nct_id and labels, with probabilities or without.",
        show_default=False,
    ),
]
OwnTask = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="The task of the labels (a name, or your .yaml file), for a table that does not name it.",
    ),
]
Trials = Annotated[
    Path | None,
    typer.Option(help="A snapshot, or a table with nct_id and the grouping columns.", show_default=False),
]
By = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<name,...>",
        help="Groups: year, phase, status, sex, study_type, sponsor_class, country of a snapshot, any column,"
        " completion_year from a completion_date; phase+year for combinations.",
        show_default=False,
    ),
]
Where = Annotated[str | None, typer.Option(help="A condition in SQL that selects the trials.")]
Combine = Annotated[
    list[str] | None,
    typer.Option(help="An additional class: NAME=LABEL|LABEL (any of them), NAME=LABEL&LABEL (all of them)."),
]
KnownLabels = Annotated[
    str | None,
    typer.Option(
        "--known",
        help="Trials whose labels are known without sampling: shipped (those of the task), or a"
        " table of nct_id and labels.",
        show_default=False,
    ),
]


@estimate.command(
    epilog=example(
        "trialtune estimate plan labelled/stop-reasons --precision 0.01 --out sheet.csv",
        "trialtune estimate plan labelled/stop-reasons --rows 500 --trials registry --by phase,year"
        " --out sheet.csv",
    )
)
@settings_options
def plan(
    labels: Labelled,
    settings: PlanSettings,
    out: Annotated[
        Path | None, typer.Option("--out", help="The sheet to fill in, .csv; without it, forecast only.")
    ] = None,
    of: Annotated[
        list[str] | None,
        typer.Option(help="A class whose share must reach the precision; default all classes."),
    ] = None,
    task: OwnTask = None,
    trials: Trials = None,
    by: By = None,
    where: Where = None,
    combine: Combine = None,
    known: KnownLabels = None,
    as_json: AsJson = False,
) -> None:
    """Determine how many rows to label by hand for a precision, and draw them into a sheet."""
    from trialtune.console import tell
    from trialtune.reports.estimate import plan_to_rich
    from trialtune.stages.estimate_plan import plan_estimate
    from trialtune.tasks.catalog import load_task

    result = plan_estimate(
        labels,
        out,
        task=load_task(task) if task else None,
        trials=trials,
        by=_names(by),
        where=where,
        combine=combine or (),
        of=of or (),
        known=known,
        settings=settings,
    )
    if result.assumed_probabilities:
        tell(
            "the labels have no probabilities: forecasts assume that four in five are right; hand labels"
            " will be more accurate"
        )

    def show(_: Any) -> None:
        stdout().print(plan_to_rich(result))
        if out:
            typer.echo(f"written to {out}: fill in the column labels, from the top; then")
            same = "".join(
                f" --{name} {value}" for name, value in (("task", task), ("known", known)) if value
            )
            typer.echo(f"trialtune estimate run {labels} --gold {out}{same} --out estimate")

    emit(result, as_json, show)


@estimate.command(
    epilog=example(
        "trialtune estimate run labelled/stop-reasons --gold sheet.csv --out estimate",
        "trialtune estimate run labelled/stop-reasons --gold sheet.csv --trials registry --by year,phase"
        " --compare sponsor_class --where \"start_date >= '2015'\" --out estimate",
        "trialtune estimate run labelled/stop-reasons --known shipped --trials registry --by year"
        " --out estimate",
    )
)
@settings_options
def run(
    labels: Labelled,
    settings: EstimateSettings,
    gold: Annotated[
        Path | None, typer.Option(help="The sheet of `plan`, filled in.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for tables and the page; without it, only print.")
    ] = None,
    task: OwnTask = None,
    trials: Trials = None,
    by: By = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare groups: sponsor_class (each with all others), or phase=PHASE3 (each with PHASE3)."
        ),
    ] = None,
    where: Where = None,
    combine: Combine = None,
    crosswalk: Crosswalks = None,
    known: KnownLabels = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            help="The classifier of the labels, if not a shipped one, to check that no gold rows trained it."
        ),
    ] = None,
    out_of_fold: Annotated[
        Path | None,
        typer.Option(help="out_of_fold.parquet of `crossfit`, if the classifier was trained on gold rows."),
    ] = None,
    assume_random: Annotated[
        bool,
        typer.Option(
            "--assume-random",
            help="Treat gold rows without drawing probabilities, or known ones, as a random sample.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Estimate shares of labels, differences and ratios between groups, and trends over years."""
    from trialtune.reports.estimate import estimate_to_rich, write_estimate
    from trialtune.stages.estimate import estimate as estimate_shares
    from trialtune.tasks.catalog import load_task

    result = estimate_shares(
        labels,
        gold,
        task=load_task(task) if task else None,
        trials=trials,
        by=_names(by),
        compare=compare or (),
        where=where,
        combine=combine or (),
        crosswalks=crosswalk or (),
        known=known,
        classifier=classifier,
        out_of_fold=out_of_fold,
        assume_random=assume_random,
        settings=settings,
    )
    if out:
        write_estimate(result, out)

    def show(_: Any) -> None:
        stdout().print(estimate_to_rich(result))
        if out:
            typer.echo(f"written to {out}; as a page: {out / 'index.html'}")

    emit(result, as_json, show)


def _names(given: list[str] | None) -> list[str]:
    return [name.strip() for text in given or [] for name in text.split(",") if name.strip()]
