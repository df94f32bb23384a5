"""Rows that a classifier has seen are found by trial and by wording."""

import polars as pl

from trialtune.tasks.seen import SEEN_FILE, drop_seen, write_seen


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
    assert pl.read_parquet(tmp_path / SEEN_FILE).columns == ["nct_id", "text_hash"]
    assert b"accrual" not in (tmp_path / SEEN_FILE).read_bytes().lower()


def test_a_classifier_made_elsewhere_has_seen_nothing_we_know_of(tmp_path) -> None:
    asked = rows(("NCT00000001", "a"))
    unseen, seen = drop_seen(asked, tmp_path)
    assert unseen.equals(asked)
    assert seen.is_empty()
