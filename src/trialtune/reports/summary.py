"""All systems of a comparison, baselines first, one line each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SPREAD_NOTE = "Fine-tuned systems: mean ± standard deviation over seeds."


@dataclass(frozen=True)
class Measured:
    """A score with its 95% interval and, over several seeds, its standard deviation."""

    value: float
    interval: Sequence[float]
    spread: float | None

    @property
    def score(self) -> str:
        """The mean and what it varies by."""
        return score_text(self.value) + ("" if self.spread is None else f" ± {score_text(self.spread)}")

    @property
    def limits(self) -> str:
        return f"[{score_text(self.interval[0])}, {score_text(self.interval[1])}]"

    def __str__(self) -> str:
        return f"{self.score} {self.limits}"


@dataclass(frozen=True)
class SystemRow:
    """One system of the table."""

    title: str
    fine_tuned: bool
    seeds: int
    micro: Measured
    macro: Measured
    accuracy: float
    ece: float | None  # None for rules, which state no probabilities


def summary_rows(comparison: Mapping[str, Any]) -> list[SystemRow]:
    """Every system in order; empty for a comparison that has none but its pair."""
    return [_row(system) for system in comparison.get("summary", {}).values()]


def score_text(value: float | None) -> str:
    """A score with three decimals, an en dash for none."""
    return "–" if value is None else f"{value:.3f}"


def signed_text(value: float) -> str:
    """A difference with its sign and three decimals; the minus is a real minus sign."""
    return f"{value:+.3f}".replace("-", "−")


def _row(system: Mapping[str, Any]) -> SystemRow:
    micro, macro = (
        Measured(
            system[name],
            system["intervals"][name],
            system["spread"][name] if system["fine_tuned"] and system["seeds"] > 1 else None,
        )
        for name in ("micro_f1", "macro_f1")
    )
    return SystemRow(
        title=system["title"],
        fine_tuned=system["fine_tuned"],
        seeds=system["seeds"],
        micro=micro,
        macro=macro,
        accuracy=system["accuracy"],
        ece=system["ece"],
    )
