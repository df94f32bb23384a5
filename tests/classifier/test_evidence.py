"""Each label comes with the words of the text that made it, verbatim, for about one more reading."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.evidence import find_evidence
from trialtune.classifier.phrases import phrases
from trialtune.dataset.tables import write_table
from trialtune.evaluation.decision import Decision
from trialtune.stages.export import export

LABELS = ("Slow", "Money", "Both")
DECISION = Decision("multi_label", LABELS, (0.5,) * 3)
TEXTS = [
    "slow recruitment",
    "slow recruitment, funding ran out due to sponsor decision",
    "lack of efficacy and safety concern; slow recruitment",
    "interim analysis: adverse events (women and men), lack of efficacy",
    "slow recruitment, funding ran out due to sponsor decision",
    "...",
]


class Words:
    """Knows a label by its word; `Both` takes both."""

    asked: list[str]

    def __call__(self, texts):
        self.asked = list(texts)
        rows = [("slow" in text, "funds" in text, "slow" in text and "funds" in text) for text in texts]
        return np.where(np.array(rows, dtype=bool).reshape(-1, 3), 0.9, 0.1)


def evidence_of(*texts: str) -> tuple[list[list[tuple[str, str]]], list[str]]:
    words = Words()
    found = find_evidence(words, DECISION, texts, DECISION.apply(words(texts)))
    return [[(one.label, one.text) for one in row] for row in found], words.asked


def test_a_label_comes_with_the_phrase_that_makes_it() -> None:
    [found], asked = evidence_of("slow start, no funds, and the PI left")
    assert found == [
        ("Slow", "slow start"),
        ("Money", "no funds"),
        ("Both", "slow start, no funds, and the PI left"),
    ]
    assert asked == ["slow start", "no funds", "the PI left"]


def test_the_evidence_of_one_phrase_is_the_text_which_is_not_read_again() -> None:
    found, asked = evidence_of("slow start.", "...", "slow, slow")
    assert found[0] == [("Slow", "slow start.")]
    assert len(found[1]) == 1 and found[1][0][1] == "..."  # a label is given to all, by `at_least_one`
    assert found[2] == [("Slow", "slow")]
    assert asked == ["slow", "slow"]
    assert find_evidence(Words(), DECISION, [], DECISION.apply(np.empty((0, 3)))) == []


@pytest.fixture(scope="module", params=["stop-reasons", "sex"])
def classifier(request, make_classifier, tmp_path_factory) -> Classifier:
    made = tmp_path_factory.mktemp("classifier")
    export(make_classifier(request.param, made / "torch"), made / "onnx", form="onnx")
    return Classifier.from_pretrained(made / "onnx")


@given(st.lists(st.text() | st.sampled_from(TEXTS)))
@settings(max_examples=25)
def test_evidence_is_verbatim_one_for_each_label(classifier, texts) -> None:
    frame = classifier.predict_frame(pl.DataFrame({"text": texts}, schema={"text": pl.String}), evidence=True)
    plain = classifier.predict_frame(pl.DataFrame({"text": texts}, schema={"text": pl.String}))
    assert frame.drop("evidence", "probabilities").equals(plain.drop("probabilities"))
    for row in frame.to_dicts():
        if row["text"] is None:
            assert row["evidence"] is None
            continue
        assert [one["label"] for one in row["evidence"]] == row["labels"]
        for one in row["evidence"]:
            assert 0 <= one["start"] < one["end"] <= len(row["text"])
            assert row["text"][one["start"] : one["end"]] == one["text"]
    predicted = classifier.predict(texts, evidence=True)
    asked = [one.evidence and [(w.label, w.text, w.start, w.end) for w in one.evidence] for one in predicted]
    assert asked == [row and [tuple(one.values()) for one in row] for row in frame["evidence"].to_list()]


def test_it_is_the_phrase_of_greatest_probability(classifier) -> None:
    [prediction] = classifier.predict([TEXTS[2]], evidence=True)
    parts = [TEXTS[2][start:end] for start, end in phrases(TEXTS[2])]
    alone = dict(zip(parts, classifier.predict_proba(parts), strict=True))
    assert len(parts) == 3
    for one in prediction.evidence:
        label = classifier.labels.index(one.label)
        least = prediction.probabilities[one.label] / 2
        if classifier.decision.thresholds:
            least = min(least, classifier.decision.thresholds[label])
        best = max(alone, key=lambda part: alone[part][label])
        assert one.text == (best if alone[best][label] >= least else TEXTS[2])


def test_it_costs_no_more_than_a_second_reading(classifier, monkeypatch) -> None:
    read: list[int] = []  # tokens of each window that the model scored
    backend = classifier._predictor.backend
    score = type(backend).score

    def counting(self, batches):
        batches = list(batches)
        read.extend(int(mask) for _, batch in batches for mask in batch["attention_mask"].sum(axis=1))
        return score(self, batches)

    monkeypatch.setattr(type(backend), "score", counting)
    texts = [f"{one} {number}, {two}" for number, (one, two) in enumerate(pairwise(TEXTS))] * 2
    classifier.predict(texts)
    once, windows = sum(read), len(read)
    read.clear()
    counts: list[int] = []
    classifier.predict(texts, evidence=True, progress=counts.append)
    distinct = {text[start:end] for text in texts for start, end in phrases(text)}
    assert len(read) - windows <= len(distinct) < sum(len(text.split()) for text in set(texts))
    assert 0 < sum(read) - once <= once + 2 * len(distinct)
    assert sum(counts) == len(texts)


def test_what_is_not_read_is_no_evidence(make_classifier, tmp_path) -> None:
    classifier = Classifier.from_pretrained(make_classifier("stop-reasons", tmp_path / "clf", max_length=8))
    texts = ["slow recruitment, " * number + "funding ran out" for number in (10, 200)]
    whole, cut = map(classifier._predictor.read_part, texts)
    assert whole == texts[0]
    assert texts[1].startswith(cut) and 0 < len(cut) < len(texts[1])  # 32 windows of 8 tokens
    np.testing.assert_allclose(*classifier.predict_proba([texts[1], cut]), atol=1e-6)
    [prediction] = classifier.predict([texts[1]], evidence=True)
    assert prediction.labels and all(one.end <= len(cut) for one in prediction.evidence)


def test_progress_counts_texts_where_no_phrase_is_read(classifier) -> None:
    counts: list[int] = []
    classifier.predict(["slow recruitment"] * 3, evidence=True, progress=counts.append)
    assert sum(counts) == 3


def test_real_stop_reasons_take_less_than_twice_the_words(shared_data) -> None:
    rows = pl.read_parquet(shared_data / "stop_reasons_silver.parquet", n_rows=3000)
    texts = rows["text"].unique().to_list()
    several = [(text, found) for text in texts if len(found := phrases(text)) > 1]
    distinct = {text[start:end] for text, found in several for start, end in found}
    once, again = (sum(len(part.split()) + 2 for part in parts) for parts in (texts, distinct))
    assert 0 < again < once  # two more tokens begin and end each


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_tables_hold_it(classifier, tmp_path, suffix) -> None:
    frame = classifier.predict_frame(pl.DataFrame({"text": [*TEXTS[:3], None]}), evidence=True)
    path = tmp_path / f"out.{suffix}"
    write_table(frame, path)
    expected = frame["evidence"].to_list()
    if suffix == "csv":
        told = [row and " | ".join(f"{one['label']}: {one['text']}" for one in row) for row in expected]
        assert pl.read_csv(path)["evidence"].to_list() == told
    else:
        back = pl.read_parquet(path) if suffix == "parquet" else pl.read_ndjson(path)
        assert back["evidence"].to_list() == expected
