"""Where the templates of HTML pages are found, and how they write numbers."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from trialtune.reports.summary import score_text, signed_text
from trialtune.reports.tables import chance_text, change_text, count_text

PAGES = Environment(
    loader=PackageLoader("trialtune.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters.update(
    score=score_text, signed=signed_text, change=change_text, count=count_text, chance=chance_text
)
