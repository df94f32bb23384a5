"""State shared by the readers of one source: its encoding, findings, headers seen so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trialtune.registry.record.findings import Findings


@dataclass(frozen=True)
class Reading:
    """How to read a file: `alone` when it is the only one; `findings` and `headers` are filled in.

    `headers` maps numbers of columns to the last header: of several pages only the first may have one.
    """

    encoding: str = "utf-8"
    findings: Findings = field(default_factory=Findings)
    headers: dict[int, Sequence[str]] = field(default_factory=dict)
    alone: bool = True
