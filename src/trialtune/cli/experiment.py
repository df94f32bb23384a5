"""`trialtune run` and `trialtune recipes`: whole experiments."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, app, emit, example


@app.command(
    epilog=example(
        "trialtune run quick",
        "trialtune run registry --set data=snapshot.parquet --set adapt.lora.r=16 --out runs/mine",
    )
)
def run(
    recipe: Annotated[str, typer.Argument(help="A built-in recipe's name, or a YAML file.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; default runs/NAME.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check data and list steps.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a whole experiment; finished steps are skipped, a killed run resumes where it stopped."""
    from trialtune.console import console, tell
    from trialtune.experiment.check import check_data
    from trialtune.experiment.data import SAMPLE
    from trialtune.experiment.recipe import load_recipe
    from trialtune.experiment.run import Experiment
    from trialtune.reports.run_result import RunResult

    chosen = load_recipe(recipe, set_ or [])
    experiment = Experiment(chosen, out or Path("runs") / chosen.name)
    if dry_run:
        rows = check_data(chosen)
        plan = [
            {"step": s.name, "folder": str(s.folder), "done": s.record() is not None}
            for s in experiment.steps()
        ]

        def show_plan(result: dict[str, Any]) -> None:
            for task, count in result["labelled_rows"].items():
                found = "from the trials, once these are imported" if count is None else f"{count:,}"
                typer.echo(f"labelled rows of {task}: {found}")
            for step in result["steps"]:
                typer.echo(f"{'done ' if step['done'] else 'to do'}  {step['step']:32} {step['folder']}")

        planned = {"recipe": chosen.model_dump(mode="json"), "labelled_rows": rows, "steps": plan}
        emit(planned, as_json, show_plan)
        return
    if chosen.data == SAMPLE:
        console.print(
            "[bold]Synthetic sample data:[/] this run shows that everything works, nothing about real trials."
        )
    metrics = experiment.run(tell)

    def show(result: RunResult) -> None:
        from rich.console import Console

        from trialtune.reports.tables import summary_to_rich, to_rich

        results = Console(highlight=False)
        for comparison in result.tasks.values():
            results.print(summary_to_rich(comparison), "", to_rich(comparison))
            results.print(f"{comparison.task}: {comparison.verdict}\n")
        if result.made_up:
            results.print("These numbers come from synthetic data; they say nothing about real trials.")
        results.print(f"report: {experiment.out / 'report' / 'index.html'}", soft_wrap=True)

    emit(metrics, as_json, show)


@app.command(epilog=example("trialtune recipes"))
def recipes(as_json: AsJson = False) -> None:
    """List the built-in recipes."""
    import yaml

    from trialtune.experiment.recipe import builtin_recipes

    found = {
        name: {
            "file": str(path),
            "description": yaml.safe_load(path.read_text(encoding="utf-8"))["description"],
        }
        for name, path in builtin_recipes().items()
    }

    def show(result: dict[str, Any]) -> None:
        for name, recipe in result.items():
            typer.echo(f"{name}\n  {recipe['description'].strip()}\n  {recipe['file']}\n")

    emit(found, as_json, show)
