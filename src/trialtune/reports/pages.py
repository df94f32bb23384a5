"""HTML pages from templates based on `page.html`, with filters for numbers."""

import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from trialtune.files import atomic_file
from trialtune.reports.colors import COLORS
from trialtune.reports.summary import score_text, signed_text
from trialtune.reports.tables import chance_text, change_text, count_text, escaped

log = logging.getLogger(__name__)

PAGES = Environment(
    loader=PackageLoader("trialtune.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.globals["colors"] = COLORS
PAGES.filters.update(
    score=score_text,
    signed=signed_text,
    change=change_text,
    count=count_text,
    chance=chance_text,
    escaped=escaped,
)
#: The same for Markdown, whose templates keep their line ends.
MARKDOWN = PAGES.overlay(autoescape=False, trim_blocks=False, lstrip_blocks=False)


def plots_of(module: str, summary: Any) -> Sequence[Any] | None:
    """The plots of a page, by the module that draws them; None, noted on the page, without Matplotlib."""
    try:
        drawn: Sequence[Any] = import_module(f"trialtune.reports.{module}").plots(summary)
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        log.warning("the page has no plots; to add them: pip install 'trialtune[report]'")
        return None
    return drawn


def write_page(path: Path, template: str, **content: Any) -> None:
    """Write the template with its content filled in, as one page that works without a network."""
    page = PAGES.get_template(template).render(**content)
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
