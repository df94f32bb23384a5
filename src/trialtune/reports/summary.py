"""All systems of a comparison, baselines first, one line each."""

from dataclasses import dataclass

from trialtune.evaluation.comparison import ComparisonResult, SystemSummary
from trialtune.evaluation.intervals import Interval

SPREAD_NOTE = "Fine-tuned systems: mean ± standard deviation over seeds."


@dataclass(frozen=True)
class Measured:
    """A score with its 95% interval and, over several seeds, its standard deviation."""

    value: float
    interval: Interval
    spread: float | None

    @property
    def score(self) -> str:
        """The mean and its spread."""
        return score_text(self.value) + ("" if self.spread is None else f" ± {score_text(self.spread)}")

    @property
    def limits(self) -> str:
        return f"[{score_text(self.interval.low)}, {score_text(self.interval.high)}]"

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
    ece: float | None  # None for rules, which have no probabilities


def summary_rows(comparison: ComparisonResult) -> list[SystemRow]:
    """Every system in order; empty for a comparison of only the pair."""
    return [_row(system) for system in comparison.summary.values()]


def score_text(value: float | None) -> str:
    """A score with three decimals, an en dash for none."""
    return "–" if value is None else f"{value:.3f}"


def signed_text(value: float) -> str:
    """A difference with its sign and three decimals; the minus is a real minus sign."""
    return f"{value:+.3f}".replace("-", "−")


def _row(system: SystemSummary) -> SystemRow:
    varied = system.fine_tuned and system.seeds > 1
    return SystemRow(
        title=system.title,
        fine_tuned=system.fine_tuned,
        seeds=system.seeds,
        micro=Measured(
            system.micro_f1, system.intervals.micro_f1, system.spread.micro_f1 if varied else None
        ),
        macro=Measured(
            system.macro_f1, system.intervals.macro_f1, system.spread.macro_f1 if varied else None
        ),
        accuracy=system.accuracy,
        ece=system.ece,
    )
