"""Conditions that made-up trials are about, with their own interventions, measures, criteria and facts."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from trialtune.registry.sample.phrases import load_bank


@dataclass(frozen=True)
class Condition:
    """One condition: `sex` is set where only one sex has it, `lean` is the sex most patients have.

    Ages are in years; `since` is the first year in which there were patients; `pregnant` if all of them are.
    """

    name: str
    area: str
    text: str
    people: str
    interventions: tuple[str, ...]
    measures: tuple[str, ...]
    criteria: tuple[str, ...]
    facts: tuple[str, ...]
    minimum_age: int
    maximum_age: int | None
    sex: str | None
    lean: str | None
    since: int
    pregnant: bool

    @property
    def of_children(self) -> bool:
        """True where nobody enrolled is grown up."""
        return self.maximum_age is not None and self.maximum_age < 18


@cache
def all_conditions() -> tuple[Condition, ...]:
    """Every condition of the bank, in a fixed order."""
    return tuple(_condition(name, entry) for name, entry in load_bank("conditions").items())


def _condition(name: str, entry: dict[str, Any]) -> Condition:
    ages = [int(age) for age in str(entry["ages"]).split()]
    return Condition(
        name=name,
        area=entry["area"],
        text=entry["text"],
        people=entry["people"],
        interventions=_parts(entry["interventions"]),
        measures=_parts(entry["measures"]),
        criteria=_parts(entry["criteria"]),
        facts=_parts(entry["facts"]),
        minimum_age=ages[0],
        maximum_age=ages[1] if len(ages) > 1 else None,
        sex=entry.get("sex"),
        lean=entry.get("lean"),
        since=entry.get("since", 0),
        pregnant=entry.get("pregnant", False),
    )


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(";") if part.strip())
