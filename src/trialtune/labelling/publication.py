"""What only those who publish labels know of them."""

import re

from pydantic import Field

from trialtune.settings import Settings, panel

_PANEL = panel("Publishing")
_ADDRESS = re.compile(r"https?://\S+")


class Publication(Settings):
    """What `croissant.json` and the data card say in their name."""

    license: str | None = Field(
        None,
        pattern=r"^(https?://\S+|[A-Za-z0-9.+-]+)$",
        description="licence of the labels: an SPDX identifier such as CC-BY-4.0, or an address",
        json_schema_extra=_PANEL,
    )
    creator: str | None = Field(
        None, min_length=1, description="who made the labels: a group, a person", json_schema_extra=_PANEL
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="address of the page where they are published",
        json_schema_extra=_PANEL,
    )

    @property
    def license_url(self) -> str | None:
        """The address of the licence."""
        if self.license is None or _ADDRESS.fullmatch(self.license):
            return self.license
        return f"https://spdx.org/licenses/{self.license}"
