"""Settings of an estimate."""

from typing import Literal

from pydantic import Field

from trialtune.settings import Settings

Alternative = Literal["two-sided", "larger", "smaller"]
Method = Literal["auto", "hand", "exact", "stratified", "ppi"]


class EstimateSettings(Settings):
    """How shares and their bounds are estimated."""

    method: Method = Field(
        "auto",
        description="hand: hand labels only, Wilson; exact: the same, Clopper-Pearson; stratified:"
        " post-stratified by the predicted label; ppi: prediction-powered (PPI++); auto: chosen by the gold"
        " rows, and named in the table.",
    )
    level: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    alternative: Alternative = Field(
        "two-sided", description="larger: lower bounds only; smaller: upper bounds only."
    )
    min_gold: int = Field(10, ge=2, description="Gold rows below which a group gets no interval.")


class PlanSettings(Settings):
    """How many rows are drawn for hand labels, and which."""

    precision: float | None = Field(
        None, gt=0, lt=0.5, description="Wanted half width of the intervals, as a share: 0.01."
    )
    rows: int | None = Field(None, ge=20, description="Number of rows, instead of as precision requires.")
    design: Literal["stratified", "uniform"] = Field(
        "stratified",
        description="stratified: uncertain rows and those of rare labels more often, with known"
        " probabilities.",
    )
    level: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    seed: int = Field(1, description="Random seed of the draw.")
