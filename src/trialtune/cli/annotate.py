"""`trialtune annotate`: label texts by hand, on a local web page."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trialtune.annotation.settings import DrawSettings
from trialtune.cli.app import app, example
from trialtune.cli.options import settings_options
from trialtune.cli.tasks import TaskData, TaskName, data_of

if TYPE_CHECKING:
    from trialtune.annotation.pool import Pool
    from trialtune.annotation.trainer import Trainer
    from trialtune.tasks.task import Task


def _mix(text: str) -> dict[str, float]:
    try:
        pairs = (part.split("=") for part in text.split(","))
        return {way.strip(): float(share) for way, share in pairs}
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: write random=0.3,uncertain=0.1,rare=0.6") from error


@app.command(
    epilog=example(
        "trialtune annotate ./my_task.yaml --data snapshot.parquet --out labels.csv --annotator Ada",
        "trialtune annotate stop-reasons --data labelled/stop-reasons --review --out corrections.csv",
        "trialtune annotate stop-reasons --adjudicate --out labels.csv --annotator Grace",
    )
)
@settings_options
def annotate(
    task: TaskName,
    out: Annotated[
        Path, typer.Option("--out", help="The .csv that answers are appended to.", show_default=False)
    ],
    settings: DrawSettings,
    data: TaskData = None,
    annotator: Annotated[
        str | None, typer.Option(help="Name of the annotator; default the user name.")
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(
            help="Shares of texts drawn at random, uncertain to the model, likely to have a rare label:"
            " random=0.3,uncertain=0.1,rare=0.6"
        ),
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Show a model's prediction before a text is answered.")
    ] = False,
    classifier: Annotated[
        str | None,
        typer.Option(help="A classifier for suggestions, instead of the model trained on the answers."),
    ] = None,
    review: Annotated[
        bool,
        typer.Option("--review", help="Show the rows of --data, which are predictions, that need review."),
    ] = False,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="Adjudicate the texts of --out on which annotators disagree.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free port.")] = 8010,
) -> None:
    """Label texts by hand on a web page, one after another; answers are saved to disk at once."""
    from trialtune.annotation.labels_file import LabelsFile
    from trialtune.annotation.pool import disagreements
    from trialtune.annotation.session import Session
    from trialtune.console import tell
    from trialtune.errors import DataError, UsageError
    from trialtune.server.annotate import HOSTS, TIMEOUT, build_annotate_app
    from trialtune.server.run import bind, make_server
    from trialtune.settings import validated
    from trialtune.tasks.catalog import load_task

    if review and adjudicate:
        raise UsageError("give --review or --adjudicate, not both")
    if mix is not None:
        settings = validated(DrawSettings, {**settings.model_dump(), "mix": _mix(mix)}, where="--mix")
    chosen = load_task(task)
    pool = None if adjudicate else _pool(chosen, data_of(chosen, data), review=review)
    if pool and pool.listed and not review and suggest:
        raise UsageError("--suggest: a sample sheet must be labelled without seeing predictions")
    with bind(HOSTS[0], port) as listening:
        file = LabelsFile(out, chosen, passed=tuple(pool.passed) if pool else (), tell=tell)
        try:
            pool = pool or disagreements(file.answers)
            if not len(pool):
                raise DataError(f"{out}: annotators do not disagree on any of its texts")
            session = Session(
                chosen,
                pool,
                file,
                annotator=annotator or getpass.getuser(),
                settings=settings,
                trainer=None if pool.listed else _trainer(chosen, pool, settings, suggest=suggest),
                suggest_by=_classifier(classifier),
            )
            app = build_annotate_app(session, suggest=suggest)
            tell(f"trialtune annotate: http://{HOSTS[0]}:{listening.getsockname()[1]}/ (Ctrl-C stops it)")
            make_server(app, timeout=TIMEOUT).run(sockets=[listening])
        finally:
            file.close()


def _pool(task: "Task", data: Path, *, review: bool) -> "Pool":
    from trialtune.annotation.pool import read_pool
    from trialtune.console import tell

    pool = read_pool(task, data, review=review)
    empty = f"; {pool.empty:,} without text are not shown" if pool.empty else ""
    tell(f"{data}: {len(pool):,} texts{empty}")
    return pool


def _trainer(task: "Task", pool: "Pool", settings: DrawSettings, *, suggest: bool) -> "Trainer | None":
    """The trainer, if a model chooses texts or suggests labels."""
    if not (settings.learns or suggest):
        return None
    from trialtune.annotation.candidates import Candidates
    from trialtune.annotation.learners import learner_for
    from trialtune.annotation.trainer import Trainer

    candidates = Candidates(pool, most=settings.candidates, seed=settings.seed)
    return Trainer(task, learner_for(task, candidates.texts), candidates, settings)


def _classifier(name: str | None) -> Any:
    if name is None:
        return None
    from trialtune.annotation.pool import Suggestion
    from trialtune.classifier.classifier import Classifier

    opened = Classifier.from_pretrained(name)

    def suggest(text: str) -> Suggestion:
        [said] = opened.predict([text])
        return Suggestion(said.labels or (), said.probabilities or {})

    return suggest
