"""Splits never leak, keep every row, and come near the fractions asked for."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialtune.dataset.overlap import check_no_overlap, near_overlap
from trialtune.dataset.splits import group_rows, k_folds, split_by_date, split_examples
from trialtune.errors import DataError, UsageError
from trialtune.tasks.text import normalize_text

SCHEMA = {"nct_id": pl.String, "text": pl.String, "labels": pl.List(pl.String)}
FRACTIONS = {"train": 0.7, "calibration": 0.15, "test": 0.15}


def frame(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


# Few ids and texts, so that rows are linked into chains.
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 300).map(lambda number: f"NCT{number:08}")),
        st.builds(
            lambda number, end: f"Low accrual {number}{end}",
            st.integers(0, 300),
            st.sampled_from(["", ".", " !"]),
        ),
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True),
    ),
    min_size=1,
    max_size=100,
)


def keys(part):
    ids = {value for value in part["nct_id"] if value}
    return ids | {normalize_text(text) for text in part["text"]}


@given(ROWS, st.integers(0, 5))
def test_nothing_leaks_and_nothing_is_lost(rows, seed):
    try:
        parts = split_examples(frame(rows), fractions=FRACTIONS, seed=seed, kind="multi_label")
    except DataError as error:
        assert "leave none for" in str(error)
        return
    assert list(parts) == list(FRACTIONS)
    for first in parts:
        for second in parts:
            if first != second:
                assert not keys(parts[first]) & keys(parts[second])
                check_no_overlap(parts[first], parts[second])
    written = [row for part in parts.values() for row in part.rows()]
    assert sorted(map(repr, written)) == sorted(map(repr, frame(rows).rows()))


@settings(max_examples=30)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    results = []
    for given_rows in (rows, shuffled):
        try:
            parts = split_examples(frame(given_rows), fractions=FRACTIONS, seed=1, kind="multi_label")
        except DataError:
            results.append(None)
        else:
            results.append({name: sorted(map(repr, part.rows())) for name, part in parts.items()})
    assert results[0] == results[1]


@settings(max_examples=15)
@given(
    st.lists(
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True), min_size=200, max_size=400
    ),
    st.integers(0, 9),
)
def test_fractions_and_label_balance_are_near_their_target(labels, seed):
    rows = [(f"NCT{number // 2:08}", f"text {number}", names) for number, names in enumerate(labels)]
    parts = split_examples(frame(rows), fractions=FRACTIONS, seed=seed, kind="multi_label")
    for name, share in FRACTIONS.items():
        assert abs(parts[name].height - share * len(rows)) <= 0.05 * len(rows)
        for label in "abcd":
            whole = sum(label in names for names in labels)
            inside = sum(label in names for names in parts[name]["labels"])
            assert abs(inside - share * whole) <= 0.1 * whole + 4


def test_a_rare_label_reaches_every_part():
    rows = [(None, f"text {number}", ["rare" if number < 10 else "common"]) for number in range(1000)]
    parts = split_examples(frame(rows), fractions=FRACTIONS, seed=0, kind="multi_class")
    rare = {name: sum("rare" in names for names in part["labels"]) for name, part in parts.items()}
    assert rare["train"] == 7 and min(rare.values()) >= 1
    assert [part.height for part in parts.values()] == [700, 150, 150]


def test_seeds_differ_and_repeat():
    rows = frame([(None, f"text {number}", ["a"]) for number in range(100)])
    first, again, other = (
        split_examples(rows, fractions=FRACTIONS, seed=seed, kind="multi_class")["test"] for seed in (1, 1, 2)
    )
    assert first.equals(again) and not first.equals(other)


def test_rows_linked_through_others_stay_together():
    chain = [
        ("NCT00000001", "one", ["a"]),
        ("NCT00000001", "two", ["a"]),
        ("NCT00000002", "TWO!", ["a"]),
        ("nct00000002", "three", ["a"]),
    ]
    others = [(f"NCT1{number:07}", f"other {number}", ["a"]) for number in range(60)]
    parts = split_examples(frame(chain + others), fractions=FRACTIONS, seed=3, kind="multi_class")
    holding = {
        name for name, part in parts.items() for text in part["text"] if text in {"one", "TWO!", "three"}
    }
    assert len(holding) == 1


@pytest.mark.parametrize("fractions", [{}, {"a": 0.5, "b": 0.6}, {"a": 1.2, "b": -0.2}, {"a": 1.0, "b": 0.0}])
def test_impossible_fractions_are_refused(fractions):
    with pytest.raises(UsageError, match="fractions"):
        split_examples(frame([(None, "x", ["a"])]), fractions=fractions, seed=0, kind="multi_label")


def test_a_multi_class_row_needs_one_label():
    with pytest.raises(DataError, match="exactly one"):
        split_examples(frame([(None, "x", ["a", "b"])]), fractions={"a": 1.0}, seed=0, kind="multi_class")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Low Accrual.", "low   accrual"),
        ("COVID-19", "covid 19"),
        ("ﬁnal", "FINAL"),
        ("a_b", "a b"),
        ("Ｘ１", "x1"),
    ],
)
def test_wordings_that_count_as_the_same(text, same):
    assert normalize_text(text) == normalize_text(same)


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing(text):
    assert normalize_text(normalize_text(text)) == normalize_text(text)


NEARLY = "Study stopped due to COVID-19 pandemic.", "Study was stopped due to COVID-19 pandemic"


def test_near_duplicates_stay_together():
    others = [(None, f"{name} reason", ["a"]) for name in ("one", "another", "yet a third", "some", "no")]
    for seed in range(6):
        rows = frame([*((None, text, ["a"]) for text in NEARLY), *others])
        parts = split_examples(rows, fractions={"a": 0.5, "b": 0.5}, seed=seed, kind="multi_class")
        assert len({name for name, part in parts.items() for text in part["text"] if text in NEARLY}) == 1


def test_folds_test_every_row_once_and_share_nothing(shared_data):
    rows = pl.read_parquet(shared_data / "stop_reasons_train.parquet").head(2000)
    folds = k_folds(rows, folds=4, seed=1, kind="multi_label")
    assert [len(test) for _, test in folds] == pytest.approx([500] * 4, abs=20)
    assert sorted(id for _, test in folds for id in test["nct_id"]) == sorted(rows["nct_id"])
    for train, test in folds:
        assert train.columns == rows.columns and len(train) + len(test) == len(rows)
        check_no_overlap(train, test)
        assert near_overlap(train, test).is_empty()
        share = test["labels"].list.contains("Regulatory").mean()
        assert share == pytest.approx(rows["labels"].list.contains("Regulatory").mean(), abs=0.01)
    with pytest.raises(UsageError, match="at least 2"):
        k_folds(rows, folds=1, seed=1, kind="multi_label")


def test_a_date_divides_rows_and_groups_that_straddle_it_leave_training():
    rows = pl.DataFrame(
        {
            "nct_id": ["NCT00000001", "NCT00000002", "NCT00000003", "NCT00000001", None, None, None, None],
            "text": ["slow", NEARLY[0], NEARLY[1], "other", "d", "e", "f", "g"],
            "labels": [["a"]] * 8,
            "date": [
                "30.04.2017",
                "April 2017",
                "2018-01-01",
                "2017-05-01",
                "nan",
                "2017",
                "1.5.2017",
                "2016",
            ],
        }
    )
    train, test, counts = split_by_date(rows, "2017-05-01")
    assert test["text"].to_list() == [NEARLY[1], "other", "f"]
    assert train["text"].to_list() == ["d", "e", "g"]
    assert counts == {"train": 3, "test": 3, "undated": 2, "straddling": 2}
    check_no_overlap(train, test)


def test_dates_that_cannot_divide_are_refused():
    rows = frame([(None, "x", ["a"])])
    with pytest.raises(DataError, match="no column date or start_date"):
        split_by_date(rows, "2017-01-01")
    with pytest.raises(UsageError, match="'soon' is not a date"):
        split_by_date(rows, "soon")
    with pytest.raises(DataError, match="1 rows before and 0"):
        split_by_date(rows.with_columns(date=pl.lit("2016")), "2017-01-01")


def test_the_real_stop_reasons_make_small_groups(shared_data):
    groups = group_rows(pl.read_parquet(shared_data / "stop_reasons_train.parquet"))
    assert max(map(len, groups)) < 50
    assert sum(map(len, groups)) == 19_339
