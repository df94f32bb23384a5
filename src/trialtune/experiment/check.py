"""Checks an experiment's data before its first step, which may be hours before they are read."""

from pathlib import Path

from trialtune.dataset.examples import load_examples
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError
from trialtune.experiment.data import SAMPLE, find_data, given_rows
from trialtune.experiment.recipe import Recipe
from trialtune.registry.readers.source import open_source


def check_data(recipe: Recipe) -> dict[str, int | None]:
    """The number of labelled rows of each task, by its name; None where its trials are yet to be imported.

    Raises UsageError for a missing file, DataError for one that cannot be read or has no rows for its task.
    """
    found: dict[str, int | None] = {}
    data = find_data(Path(recipe.data)) if recipe.data and recipe.data != SAMPLE else None
    if data:
        open_source(data.registry)
    for name, settings in recipe.tasks.items():
        task = recipe.task(name)
        if data:
            files = data.of(task, settings.data)
            tables = [file for file in (files.train, files.test) if file]
        else:
            given = given_rows(settings.data, name)
            tables = [given] if given else []
        counts = {
            table: load_examples(task, read_table(table), where=str(table)).frame.height for table in tables
        }
        if empty := next((table for table, count in counts.items() if not count), None):
            raise DataError(f"{empty}: has no labelled rows for the task {name}; give others")
        found[name] = sum(counts.values()) if counts else None
    return found
