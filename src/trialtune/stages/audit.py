"""Trials whose free text contradicts the registry's sex field, each with the relevant sentence."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from trialtune.classifier.classifier import Classifier
from trialtune.dataset.columns import ids_and_texts, prepared
from trialtune.dataset.seen import drop_seen
from trialtune.errors import DataError, UsageError
from trialtune.tasks.catalog import load_task
from trialtune.tasks.sex.cue_sentences import NAMES, around
from trialtune.tasks.sex.stated import stated_sex

COLUMNS = ("nct_id", "title", "registry", "model", "probability", "sentence", "alone")
MIN_PROBABILITY = 0.9  # chosen on the results in docs/explanation/audit-sex.csv
_ALONE = 0.5


@dataclass(frozen=True)
class Scope:
    """The trials of a snapshot to audit."""

    rows: pl.DataFrame  # nct_id, registry (a label or null), text, and the task's own fields
    counts: dict[str, int]  # read = no_text + seen + to_score; field_empty are among those to score


def scope(snapshot: pl.DataFrame, classifier: Classifier, *, include_seen: bool = False) -> Scope:
    """The trials with text that a sex classifier has not seen in training.

    It may have memorized the registry's value for those it has seen, so its agreement means little;
    `include_seen` includes them. Raises UsageError for a classifier of another task, DataError for a
    table that is not a snapshot or an invalid sex.
    """
    task = load_task("sex")
    if (name := classifier.task.name) != task.name:
        raise UsageError(
            f"{classifier.folder} is a classifier for {name}; this audit needs one for {task.name}"
        )
    snapshot = prepared(snapshot)
    if missing := {"nct_id", "sex", "brief_title"} - set(snapshot.columns):
        raise DataError(
            f"the snapshot has no column {', '.join(sorted(missing))};"
            " create one with `trialtune registry import`"
        )
    rows = snapshot.select(
        "nct_id",
        *(name for name in task.fields if name in snapshot.columns and name != "text"),
        pl.Series("registry", _registry_answers(snapshot), dtype=pl.String),
        pl.Series("text", ids_and_texts(task, snapshot, where="the snapshot")[1], dtype=pl.String),
    )
    with_text = rows.filter(pl.col("text").is_not_null())
    unseen, seen = drop_seen(with_text, classifier.folder)
    chosen = with_text if include_seen else unseen
    counts = {
        "read": len(rows),
        "no_text": len(rows) - len(with_text),
        "seen": 0 if include_seen else len(seen),
        "to_score": len(chosen),
        "field_empty": chosen["registry"].null_count(),
    }
    return Scope(chosen, counts)


def find_statements(rows: pl.DataFrame, *, progress: Callable[[int], None] | None = None) -> pl.DataFrame:
    """The rows of a `Scope` whose text states a sex other than the registry's, with `stated` and `said`.

    `stated` is the label, `said` the sentences that state it, shortened to the words around the cues.
    """
    stated: list[str | None] = []
    said: list[list[str]] = []
    for row in rows.iter_rows(named=True):
        statement = stated_sex(row)
        stated.append(statement.label if statement else None)
        said.append([around(sentence, NAMES) for sentence in statement.sentences] if statement else [])
        if progress:
            progress(1)
    return rows.with_columns(
        pl.Series("stated", stated, dtype=pl.String), pl.Series("said", said, dtype=pl.List(pl.String))
    ).filter(pl.col("stated").is_not_null() & pl.col("stated").ne_missing(pl.col("registry")))


def audit_sex(
    statements: pl.DataFrame,
    classifier: Classifier,
    *,
    min_probability: float = MIN_PROBABILITY,
    progress: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """The findings among the rows of `find_statements`, the most certain first, with the columns `COLUMNS`.

    Two sources of evidence must agree against the registry, or on the value of its empty field (`registry`
    null): a sentence of the title or the inclusion criteria, and the model, which gives its
    answer a calibrated probability of at least `min_probability` with the whole text, and a raw one
    of 0.5 with the sentence alone. Of several sentences, the one with the highest such probability is kept.
    """
    labels = classifier.labels
    stated = classifier.decide(statements["text"].to_list(), progress=progress).probabilities
    column = {label: index for index, label in enumerate(labels)}
    places = [column[label] for label in statements["stated"]]
    judged = statements.with_columns(
        pl.col("brief_title").alias("title"),
        pl.Series("model", [labels[index] for index in stated.argmax(axis=1)], dtype=pl.String),
        pl.Series("probability", stated[np.arange(len(places)), places], dtype=pl.Float32),
    )
    agreed = judged.filter((pl.col("model") == pl.col("stated")) & (pl.col("probability") >= min_probability))
    return (
        _with_sentence(agreed, classifier)
        .filter(pl.col("alone") >= _ALONE)
        .select(COLUMNS)
        .sort("probability", "nct_id", descending=[True, False])
    )


def _registry_answers(snapshot: pl.DataFrame) -> list[str | None]:
    """The label of each row's `sex`, None where it is empty."""
    task = load_task("sex")
    known: dict[str, str | None] = {label.lower(): label for label in task.labels}
    known |= {**task.synonyms, "": None}
    answers = [(sex or "").strip().lower() for sex in snapshot["sex"]]
    for nct_id, answer in zip(snapshot["nct_id"], answers, strict=True):
        if answer not in known:
            raise DataError(f"{nct_id}: sex is {answer!r}, none of {', '.join(task.labels)}; correct the row")
    return [known[answer] for answer in answers]


def _with_sentence(agreed: pl.DataFrame, classifier: Classifier) -> pl.DataFrame:
    """`agreed` with the most decisive `sentence` of each trial and its raw probability `alone`."""
    column = {label: index for index, label in enumerate(classifier.labels)}
    pairs = agreed.select("nct_id", "model", sentence="said").explode("sentence")
    scores = classifier.raw_probabilities(pairs["sentence"].to_list())
    places = [column[label] for label in pairs["model"]]
    alone = pl.Series("alone", scores[np.arange(len(places)), places], dtype=pl.Float32)
    best = (
        pairs.with_columns(alone)
        .sort("alone", descending=True, maintain_order=True)
        .unique("nct_id", keep="first")
    )
    return agreed.join(best.drop("model"), on="nct_id")
