"""Rows that a classifier has seen are found by trial and by wording."""

import polars as pl
import pytest

from trialtune.dataset.seen import SEEN_FILE, add_seen, drop_seen, near_seen, write_seen


def rows(*pairs: tuple[str | None, str]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"nct_id": pl.String, "text": pl.String}, orient="row")


def test_found_by_id_and_by_wording(tmp_path) -> None:
    write_seen(rows(("NCT00000001", "Slow accrual."), (None, "No funding")), tmp_path)
    asked = rows(
        ("NCT00000001", "something else"),
        ("NCT00000002", "slow  ACCRUAL"),
        ("NCT00000003", "fast accrual"),
        (None, "no funding!"),
        (None, "toxicity"),
    )
    unseen, seen = drop_seen(asked, tmp_path)
    assert unseen["text"].to_list() == ["fast accrual", "toxicity"]
    assert len(seen) == 3


def test_texts_stay_out_of_the_file(tmp_path) -> None:
    write_seen(rows(("NCT00000001", "Slow accrual")), tmp_path)
    assert pl.read_parquet(tmp_path / SEEN_FILE).columns == ["nct_id", "text_hash", "signature"]
    assert b"accrual" not in (tmp_path / SEEN_FILE).read_bytes().lower()


def test_a_classifier_made_elsewhere_has_seen_nothing_we_know_of(tmp_path) -> None:
    asked = rows(("NCT00000001", "a"))
    unseen, seen = drop_seen(asked, tmp_path)
    assert unseen.equals(asked)
    assert seen.is_empty()


NEARLY = "Study stopped due to COVID-19 pandemic.", "Study was stopped due to COVID-19 pandemic"


def test_near_duplicates_are_found_without_the_texts(tmp_path) -> None:
    write_seen(rows((None, NEARLY[0]), (None, "No funding")), tmp_path)
    assert near_seen(rows((None, NEARLY[1]), (None, "toxicity")), tmp_path).tolist() == [True, False]
    assert near_seen(rows(), tmp_path).tolist() == []


def test_a_folder_of_an_older_version_still_knows_ids_and_wordings(tmp_path) -> None:
    write_seen(rows(("NCT00000001", NEARLY[0])), tmp_path)
    old = pl.read_parquet(tmp_path / SEEN_FILE).drop("signature")
    old.write_parquet(tmp_path / SEEN_FILE)
    assert near_seen(rows((None, NEARLY[1])), tmp_path) is None
    assert len(drop_seen(rows(("NCT00000001", "x")), tmp_path)[1]) == 1


@pytest.mark.parametrize("old", [False, True])
def test_what_a_teacher_has_seen_is_added(tmp_path, old) -> None:
    teacher, pupil = tmp_path / "teacher", tmp_path / "pupil"
    for folder, row in ((teacher, ("NCT00000001", NEARLY[0])), (pupil, (None, "No funding"))):
        folder.mkdir()
        write_seen(rows(row), folder)
    if old:
        pl.read_parquet(teacher / SEEN_FILE).drop("signature").write_parquet(teacher / SEEN_FILE)
    add_seen(teacher, pupil)
    assert len(drop_seen(rows(("NCT00000001", "x"), (None, "no funding")), pupil)[1]) == 2
    assert near_seen(rows((None, NEARLY[1])), pupil).tolist() == [not old]


def test_the_file_of_the_real_rows_is_small(tmp_path, shared_data) -> None:
    write_seen(pl.read_parquet(shared_data / "stop_reasons_train.parquet"), tmp_path)
    assert (tmp_path / SEEN_FILE).stat().st_size < 4_000_000
