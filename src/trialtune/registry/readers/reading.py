"""What the readers of one source share: its encoding, what was found, headers met before."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trialtune.registry.record.findings import Findings


@dataclass(frozen=True)
class Reading:
    """How to read a file: `alone` when it is the only one; `findings` and `headers` are filled on the way.

    `headers` holds the last header of so many columns: of several pages only the first may have one.
    """

    encoding: str = "utf-8"
    findings: Findings = field(default_factory=Findings)
    headers: dict[int, Sequence[str]] = field(default_factory=dict)
    alone: bool = True
