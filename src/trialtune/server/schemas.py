"""Schemas of requests and responses."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from trialtune.classifier.explain import Span
from trialtune.classifier.prediction import text_hash
from trialtune.server.batcher import Answer
from trialtune.server.model import Served
from trialtune.tasks.task import LONGEST

LONGEST_EXPLAINED = 4000  # characters; every word costs a forward pass

Text = Annotated[str, Field(max_length=LONGEST)]
_MOST_FIELDS = 20  # thousands of error messages would block the service; hence FailFast too


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, asked: Any) -> Any:
        if isinstance(asked, dict) and len(asked) > _MOST_FIELDS:
            raise ValueError(f"has {len(asked):,} fields; see /docs for those allowed")
        return asked


class PredictRequest(_Request):
    """Texts or trials; exactly one of the two."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["texts"]}, {"required": ["records"]}],
            "examples": [{"texts": ["Slow accrual", "Sponsor decision"], "tasks": ["stop-reasons"]}],
        },
    )

    texts: Annotated[list[Text], FailFast()] = Field(
        [], min_length=1, description="Stop reasons, eligibility criteria, ..."
    )
    records: Annotated[list[dict[str, Any]], FailFast()] = Field(
        [],
        min_length=1,
        description="Trials in the format of ClinicalTrials.gov's API v2, or flat objects of named columns.",
    )
    tasks: Annotated[list[str], FailFast()] = Field(
        [], min_length=1, description="Tasks to label for; default all served."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> "PredictRequest":
        if bool(self.texts) == bool(self.records):
            raise ValueError("give texts or records, and not both")
        return self


# Plain dictionaries: thousands are created per second and serialized directly.
class Prediction(TypedDict):
    """A prediction for one text, with the fields of `PREDICTION_SCHEMA`; null where there is no text."""

    nct_id: Annotated[str | None, Field(description="Of a record, where it has one.")]
    text: Annotated[str | None, Field(description="The cleaned text, or that of the record.")]
    labels: Annotated[list[str] | None, Field(description="In task order.")]
    probabilities: Annotated[dict[str, float] | None, Field(description="Calibrated, by label.")]
    needs_review: Annotated[bool | None, Field(description="Whether the classifier is uncertain.")]
    classifier: Annotated[str, Field(description="The fingerprint of the classifier.")]
    text_hash: Annotated[str | None, Field(description="Hash of the text, as in `apply`'s tables.")]


class PredictResponse(TypedDict):
    """Predictions by task, each in the order of the request."""

    results: dict[str, list[Prediction]]


class ExplainRequest(_Request):
    """Which words make this label probable?"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"task": "stop-reasons", "text": "Slow accrual", "label": "Success"}]
        },
    )

    task: str
    text: Annotated[str, Field(max_length=LONGEST_EXPLAINED, description="As /v1/predict returned it.")]
    label: str


class Word(BaseModel):
    """Characters `start` to `end` (code points) and their contribution to the label's probability."""

    start: int
    end: int
    importance: float = Field(description="The probability with the word minus that without it.")


class ExplainResponse(BaseModel):
    """Words in reading order; in a long text, those of the three most important sentences."""

    words: list[Word]


class LabelInfo(BaseModel):
    """A label, its definition, and its threshold (null: the most probable label is chosen)."""

    name: str
    definition: str
    threshold: float | None


class ModelInfo(BaseModel):
    """A served classifier."""

    task: str
    kind: Literal["multi_label", "multi_class"]
    fields: list[str] = Field(description="Columns of a trial that form its text.")
    labels: list[LabelInfo]
    max_length: int = Field(description="Length of a window in tokens.")
    review_below: float
    fingerprint: str


class ModelsResponse(BaseModel):
    """The served classifiers, and the limits of one request."""

    models: list[ModelInfo]
    max_texts: int


class Problem(BaseModel):
    """The reason for an error."""

    detail: str


class Status(BaseModel):
    """`ok`, or `ready`."""

    status: str


def model_info(served: Served) -> ModelInfo:
    """A classifier, for /v1/models."""
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
    """One prediction; `answer` is None where there was no text."""
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
    """Spans, for the response."""
    return [Word(start=span.start, end=span.end, importance=round(span.importance, 6)) for span in spans]
