"""The model card of a classifier folder: its README.md, as the Hugging Face Hub shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trialtune.files import atomic_file, read_json
from trialtune.reports.pages import PAGES
from trialtune.reports.tables import to_markdown
from trialtune.tasks.task import task_of

_TEMPLATES = PAGES.overlay(autoescape=False, trim_blocks=False, lstrip_blocks=False)


def write_card(
    folder: Path, *, comparison: Mapping[str, Any] | None = None, system: str = "", seed: int = 0
) -> None:
    """Write the README.md of a classifier folder, with the test scores of a `comparison` it was part of."""
    task = task_of(folder)
    text = _TEMPLATES.get_template("card.md").render(
        task=task.name,
        kind=task.kind,
        labels=task.labels,
        described=read_json(folder / "training.json"),
        comparison=comparison,
        tables=to_markdown(comparison) if comparison else "",
        system=system,
        seed=seed,
    )
    with atomic_file(folder / "README.md") as path:
        path.write_text(text, encoding="utf-8")
