"""Scores by slice: they add up to the whole, and small classes are not scored."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialtune.errors import DataError
from trialtune.evaluation.slices import LEAST, scores_by
from trialtune.tasks.sex.task import build_text
from trialtune.tasks.sex.topics import topic_of

LABELS = ["ALL", "FEMALE", "MALE"]
ANSWERS = st.sampled_from(LABELS)


def rows_of(triples: list[tuple[str | None, str, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "source": pl.Series([source for source, _, _ in triples], dtype=pl.String),
            "gold": [[gold] for _, gold, _ in triples],
            "labels": [[answer] for _, _, answer in triples],
        }
    )


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), ANSWERS, ANSWERS), min_size=1, max_size=80))
def test_slices_add_up_to_the_whole(triples) -> None:
    slices = scores_by(rows_of(triples), "source", LABELS, "multi_class")
    assert sum(part.n for part in slices) == len(triples)
    right = sum(gold == answer for _, gold, answer in triples)
    assert sum(part.accuracy * part.n for part in slices) == pytest.approx(right)
    assert [part.n for part in slices] == sorted((part.n for part in slices), reverse=True)
    for part in slices:
        assert sum(part.support.values()) == sum(part.predicted.values()) == part.n
        for label in LABELS:
            assert (part.recall[label] is None) == (part.support[label] < LEAST)


def test_a_shortcut_shows() -> None:
    urology = [("urology", "ALL", "MALE")] * 12 + [("urology", "MALE", "MALE")] * 40
    slices = scores_by(rows_of([*urology, *[("x", "ALL", "ALL")] * 60]), "source", LABELS, "multi_class")
    assert [part.name for part in slices] == ["x", "urology"]
    assert slices[1].recall == {"ALL": 0.0, "FEMALE": None, "MALE": 1.0}
    assert slices[1].accuracy == pytest.approx(40 / 52)
    with pytest.raises(DataError, match="topic"):
        scores_by(rows_of(urology), "topic", LABELS, "multi_class")


@pytest.mark.parametrize(
    ("topic", "title", "criteria"),
    [
        ("prostate", "Radiation of the Prostate", ""),
        ("breast", "Advanced Breast Cancer", "- pregnancy"),
        ("pregnancy", "Iron in Pregnant Women", ""),
        ("gynaecology", "Ovarian Reserve", ""),
        ("urology", "Erectile Dysfunction", ""),
        ("other", "Asthma", "Exclusion Criteria:\n- Pregnant women"),
        ("other", "Asthma", "Prostate enlarged"),
        ("no criteria stated", "Prostate Cancer in Families", "No eligibility criteria"),
    ],
)
def test_topics_come_from_title_and_conditions_alone(topic, title, criteria) -> None:
    text = build_text({"brief_title": title, "eligibility_criteria": criteria})
    assert topic_of(text) == topic
    assert topic_of(text) == topic
