"""What is asked and answered over HTTP."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator
from typing_extensions import TypedDict  # pydantic reads that one on Python 3.11, too

from trialtune.classifier.explain import Span
from trialtune.classifier.prediction import text_hash
from trialtune.server.batcher import Answer
from trialtune.server.model import Served
from trialtune.tasks.task import LONGEST

LONGEST_EXPLAINED = 4000  # characters; every word costs a reading

Text = Annotated[str, Field(max_length=LONGEST)]
_MOST_FIELDS = 20  # a message for each of thousands would hold everyone up; hence FailFast, too


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, asked: Any) -> Any:
        if isinstance(asked, dict) and len(asked) > _MOST_FIELDS:
            raise ValueError(f"has {len(asked):,} fields; see /docs for those it may have")
        return asked


class PredictRequest(_Request):
    """Texts, or trials; with one of the two."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["texts"]}, {"required": ["records"]}],
            "examples": [{"texts": ["Slow accrual", "Sponsor decision"], "tasks": ["stop-reasons"]}],
        },
    )

    texts: Annotated[list[Text], FailFast()] = Field(
        [], min_length=1, description="Reasons, eligibility criteria, ..."
    )
    records: Annotated[list[dict[str, Any]], FailFast()] = Field(
        [],
        min_length=1,
        description="Trials as ClinicalTrials.gov's API v2 gives them, or flat objects of named columns.",
    )
    tasks: Annotated[list[str], FailFast()] = Field(
        [], min_length=1, description="Served tasks to be answered; without it, all."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> "PredictRequest":
        if bool(self.texts) == bool(self.records):
            raise ValueError("give texts or records, and not both")
        return self


# Plain dictionaries: thousands a second are made, and go to JSON as they are.
class Prediction(TypedDict):
    """What a classifier says of one text, as `PREDICTION_SCHEMA` has it; null where there is no text."""

    nct_id: Annotated[str | None, Field(description="Of a record, where it has one.")]
    text: Annotated[str | None, Field(description="What was read: the cleaned text, or the record's part.")]
    labels: Annotated[list[str] | None, Field(description="In the task's order.")]
    probabilities: Annotated[dict[str, float] | None, Field(description="Calibrated, by label.")]
    needs_review: Annotated[bool | None, Field(description="Whether the classifier is unsure.")]
    classifier: Annotated[str, Field(description="The fingerprint of the classifier.")]
    text_hash: Annotated[str | None, Field(description="Of what was read, as in `apply`'s tables.")]


class PredictResponse(TypedDict):
    """Answers by task, each in the order of what was asked."""

    results: dict[str, list[Prediction]]


class ExplainRequest(_Request):
    """Which words made this label probable?"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"task": "stop-reasons", "text": "Slow accrual", "label": "Success"}]
        },
    )

    task: str
    text: Annotated[str, Field(max_length=LONGEST_EXPLAINED, description="As /v1/predict returned it.")]
    label: str


class Word(BaseModel):
    """Characters `start` to `end` (code points) and what they add to the label's probability."""

    start: int
    end: int
    importance: float = Field(description="The probability with the word minus that without it.")


class ExplainResponse(BaseModel):
    """Words in reading order; of a long text, those of the three sentences that count most."""

    words: list[Word]


class LabelInfo(BaseModel):
    """A label, what it means, and from which probability on it is given (null: the most probable is)."""

    name: str
    definition: str
    threshold: float | None


class ModelInfo(BaseModel):
    """A served classifier."""

    task: str
    kind: Literal["multi_label", "multi_class"]
    fields: list[str] = Field(description="Columns of a trial that its text is built from.")
    labels: list[LabelInfo]
    max_length: int = Field(description="Tokens read at a time.")
    review_below: float
    fingerprint: str


class ModelsResponse(BaseModel):
    """The served classifiers, and how much one request may hold."""

    models: list[ModelInfo]
    max_texts: int


class Problem(BaseModel):
    """Why there is no answer, in words."""

    detail: str


class Status(BaseModel):
    """`ok`, or `ready`."""

    status: str


def model_info(served: Served) -> ModelInfo:
    """A classifier as /v1/models shows it."""
    thresholds = served.classifier.decision.thresholds or (None,) * len(served.labels)
    return ModelInfo(
        task=served.task.name,
        kind=served.task.kind,
        fields=list(served.task.fields),
        labels=[
            LabelInfo(name=name, definition=served.task.labels.get(name, ""), threshold=threshold)
            for name, threshold in zip(served.labels, thresholds, strict=True)
        ],
        max_length=served.task.max_length,
        review_below=served.classifier.decision.review_below,
        fingerprint=served.fingerprint,
    )


def prediction(served: Served, text: str | None, answer: Answer | None, nct_id: str | None) -> Prediction:
    """One answer; `answer` is None where there was no text."""
    return Prediction(
        nct_id=nct_id,
        text=text or None,
        labels=[served.labels[place] for place in answer.labels] if answer else None,
        probabilities=dict(zip(served.labels, answer.probabilities, strict=True)) if answer else None,
        needs_review=answer.needs_review if answer else None,
        classifier=served.fingerprint,
        text_hash=text_hash(text) if text else None,
    )


def words(spans: list[Span]) -> list[Word]:
    """Spans as they are sent."""
    return [Word(start=span.start, end=span.end, importance=round(span.importance, 6)) for span in spans]
