"""The results of an estimate and of a plan, as in their JSON files."""

from pydantic import Field

from trialtune.results import Result

#: The group that holds all rows.
ALL = "all"


class Share(Result):
    """The share of a class in a group; `share` and its bounds are None where too few rows are labelled.

    `trials` of the group, of which `predicted` have the predicted class; `gold` of them are labelled by
    hand, of which `gold_with` have the class. `more`: hand labels that the group still needs.
    """

    group: str
    value: str
    label: str
    trials: int
    predicted: int
    known: int
    gold: int
    gold_with: int
    share: float | None
    low: float | None
    high: float | None
    method: str
    more: int = 0


class Difference(Result):
    """A group against another: difference and ratio of shares, with bounds; `reference` None: all others.

    `p_holm` is corrected over the classes. An infinite upper bound of the ratio is None.
    """

    group: str
    value: str
    reference: str | None
    label: str
    difference: float
    low: float
    high: float
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    p: float
    p_holm: float


class Trend(Result):
    """The yearly change of a share, by a linear trend through `years` years that have bounds."""

    group: str
    first: int
    last: int
    years: int
    label: str
    per_year: float
    low: float
    high: float
    p: float
    p_holm: float


class GoldCounts(Result):
    """The hand-labelled rows; see `GoldRows`."""

    drawn: int
    labelled: int
    later: int
    skipped: int
    changed: int
    aside: int
    strata: int
    assumed_random: bool


class EstimateResult(Result):
    """Shares, differences and trends, and how they were obtained.

    `trials` have labels and are selected, `without_text` have none; `known` of the former have known
    labels; `outside` are left out, since no random sample covers them. `independent`: gold rows are known not
    to be training rows of the classifier; None where predictions are not used. `notes` are caveats as
    sentences, `paragraph` a paragraph for a methods section.
    """

    version: str
    task: str
    classifier: str | None
    level: float
    alternative: str
    trials: int
    without_text: int
    known: int
    outside: int
    where: str | None
    noise: float
    gold: GoldCounts | None
    independent: bool | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    shares: tuple[Share, ...]
    differences: tuple[Difference, ...] = ()
    trends: tuple[Trend, ...] = ()
    notes: tuple[str, ...] = ()
    paragraph: str = ""


class Expected(Result):
    """The expected precision for a class of a group.

    `gold` rows, and half the width of the interval: None where there will be too few. `rows_needed` for the
    wanted precision, `by_hand` the same without predictions: None where none is wanted, or the largest
    size tried (`PlanResult.tried`) is too small.
    """

    group: str
    value: str
    label: str
    trials: int
    predicted_share: float
    gold: float
    half_width: float | None
    rows_needed: int | None
    by_hand: int | None


class PlanResult(Result):
    """A draw from `trials`, in `strata` of given sizes, `drawn` rows from each.

    `tried`: the most rows that were tried for `precision`. `columns`: group -> the column that it is
    derived from.
    """

    version: str
    task: str
    classifier: str | None
    trials: int
    known: int
    rows: int
    design: str
    seed: int
    level: float
    precision: float | None
    tried: int | None = None
    strata: tuple[int, ...]
    drawn: tuple[int, ...]
    assumed_probabilities: bool
    columns: dict[str, str] = Field(default_factory=dict)
    expected: tuple[Expected, ...]
