"""What training and test rows share: the same is an error, the nearly same is listed."""

import polars as pl
import pytest
from transformers import PreTrainedTokenizerFast

from trialtune.corpus.build import build_corpus
from trialtune.corpus.settings import CorpusSettings
from trialtune.dataset.overlap import check_no_overlap, drop_overlap, mlm_overlap, near_overlap
from trialtune.errors import DataError

SCHEMA = {"nct_id": pl.String, "text": pl.String, "labels": pl.List(pl.String)}


def frame(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_an_overlap_is_named_and_can_be_dropped():
    train = frame(
        [("NCT00000001", "Slow accrual.", ["a"]), ("NCT00000002", "Toxicity", ["a"]), (None, "x", ["a"])]
    )
    test = frame([("NCT00000009", "slow  ACCRUAL", ["a"]), ("NCT00000002", "harm", ["a"])])
    with pytest.raises(DataError, match="2 of 3 rows of fit share") as caught:
        check_no_overlap(train, test, names=("fit", "held out"))
    assert "NCT00000002" in str(caught.value) and "Slow accrual." in str(caught.value)
    kept, dropped = drop_overlap(train, test)
    assert kept["text"].to_list() == ["x"]
    assert dropped.height == 2
    check_no_overlap(kept, test)


def test_missing_ids_and_pure_punctuation_link_nothing():
    check_no_overlap(
        frame([(None, "a", ["a"]), (None, "?", ["a"])]), frame([(None, "b", ["a"]), (None, "!", ["a"])])
    )


def test_near_duplicates_are_listed_with_the_nearest_training_text():
    train = frame(
        [
            (None, text, ["a"])
            for text in ("Low enrollment of patients", "Low enrolment of patient", "Toxicity")
        ]
    )
    test = frame([(None, "harm", ["a"]), ("NCT00000001", "Low enrolment of patients", ["a"])])
    near = near_overlap(train, test)
    assert near.drop("similarity").rows() == [
        (1, "NCT00000001", "Low enrolment of patients", "Low enrolment of patient")
    ]
    assert 0.75 <= near["similarity"][0] < 1
    assert near_overlap(train, test.head(1)).is_empty()
    assert near_overlap(train.clear(), test).is_empty()


def test_the_real_dev_rows_near_a_training_row_are_few(shared_data):
    train, dev = (pl.read_parquet(shared_data / f"stop_reasons_{part}.parquet") for part in ("train", "dev"))
    near = near_overlap(train, dev)
    assert 20 <= len(near) <= 40
    assert near["similarity"].is_between(0.75, 1).all()


def test_test_rows_whose_trials_a_corpus_trains_on_are_counted(
    tmp_path, tiny_tokenizer: PreTrainedTokenizerFast
):
    snapshot = pl.DataFrame(
        {
            "nct_id": [f"NCT{number:08}" for number in range(40)],
            "brief_summary": [f"study of patients number {number}" for number in range(40)],
        }
    )
    corpus = tmp_path / "corpus"
    settings = CorpusSettings(block_size=16, heldout=0.3)
    built = build_corpus(
        snapshot, tiny_tokenizer, corpus, settings=settings, exclude=frozenset(["NCT00000000"])
    )
    test = frame([(nct_id.lower(), "x", ["a"]) for nct_id in snapshot["nct_id"]] + [(None, "x", ["a"])])
    assert mlm_overlap(test, corpus) == built.documents
    (corpus / "trials.parquet").unlink()
    with pytest.raises(DataError, match="does not list"):
        mlm_overlap(test, corpus)
    with pytest.raises(DataError, match="not a corpus folder"):
        mlm_overlap(test, tmp_path)
