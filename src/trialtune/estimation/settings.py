"""What an estimate is told."""

from typing import Literal

from pydantic import Field

from trialtune.settings import Settings

Alternative = Literal["two-sided", "larger", "smaller"]
Method = Literal["auto", "hand", "exact", "stratified", "ppi"]


class EstimateSettings(Settings):
    """How shares and their bounds are estimated."""

    method: Method = Field(
        "auto",
        description="hand: hand labels alone, Wilson; exact: the same, Clopper-Pearson; stratified: rows with"
        " and without the predicted label apart; ppi: prediction-powered (PPI++); auto: by what the gold rows"
        " can bear, and the table says which.",
    )
    level: float = Field(0.95, gt=0.5, lt=1, description="How often intervals shall hold the true share.")
    alternative: Alternative = Field(
        "two-sided", description="larger: lower bounds alone; smaller: upper bounds alone."
    )
    min_gold: int = Field(10, ge=2, description="Gold rows below which a group gets no interval.")


class PlanSettings(Settings):
    """How many rows are drawn for hand labels, and which."""

    precision: float | None = Field(
        None, gt=0, lt=0.5, description="Half the width that an interval may have, as a share: 0.01."
    )
    rows: int | None = Field(None, ge=20, description="So many rows, instead of as many as precision needs.")
    design: Literal["stratified", "uniform"] = Field(
        "stratified",
        description="stratified: doubtful rows and those of rare labels more often, with known"
        " probabilities.",
    )
    level: float = Field(0.95, gt=0.5, lt=1, description="How often intervals shall hold the true share.")
    seed: int = Field(1, description="Seed of the draw.")
