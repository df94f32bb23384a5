"""Which text comes next: shares as stated, random draws that stay a random sample, sheets in order."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from trialtune.annotation.draws import Draws, Given
from trialtune.annotation.pool import Pool, read_pool
from trialtune.annotation.ranking import rank
from trialtune.annotation.settings import DrawSettings
from trialtune.dataset.answers import Answer
from trialtune.errors import DataError, UsageError
from trialtune.settings import validated


def pool_of(texts: list[str], **more) -> Pool:
    return Pool([f"NCT{row:08}" for row in range(len(texts))], texts, [""] * len(texts), {}, **more)


def label_all(
    pool: Pool, settings: DrawSettings, rankings=None, most=10**6, name="Ada"
) -> list[tuple[int, str]]:
    """Places and ways in the order in which one annotator gets them."""
    draws, given, shown = Draws(pool, settings, name), Given(), []
    while (drawn := draws.next(given, rankings or {})).item is not None and len(shown) < most:
        for item in drawn.repeated:
            given.add(Answer(item.nct_id, item.text, (), name, drawn="random"))
        given.add(Answer(drawn.item.nct_id, drawn.item.text, (), name, drawn=drawn.way))
        shown.append((drawn.item.place, drawn.way))
    return shown


def test_the_mix_is_as_stated() -> None:
    pool = pool_of([f"text {n}" for n in range(2000)])
    rankings = {"uncertain": range(0, 2000, 2), "rare": range(1, 2000, 2)}
    shown = label_all(pool, DrawSettings(mix={"random": 0.5, "uncertain": 0.3, "rare": 0.2}), rankings, 600)
    shares = {way: count / 600 for way, count in Counter(way for _, way in shown).items()}
    assert shares == pytest.approx({"random": 0.5, "uncertain": 0.3, "rare": 0.2}, abs=0.06)
    assert len({place for place, _ in shown}) == 600
    assert [place for place, way in shown if way == "rare"][:3] == [1, 3, 5]
    assert shown == label_all(
        pool, DrawSettings(mix={"random": 0.5, "uncertain": 0.3, "rare": 0.2}), rankings, 600
    )


def test_annotators_share_a_part_and_no_more() -> None:
    pool = pool_of([f"text {n}" for n in range(5000)])
    settings = DrawSettings(mix={"random": 1.0}, double=0.2)
    ada, grace = (
        {place for place, _ in label_all(pool, settings, most=500, name=n)} for n in ("Ada", "Grace")
    )
    assert 60 < len(ada & grace) < 180  # 100 of everybody's, some 30 by chance
    alone = DrawSettings(mix={"random": 1.0}, double=0)
    ada, grace = ({place for place, _ in label_all(pool, alone, most=500, name=n)} for n in ("Ada", "Grace"))
    assert len(ada & grace) < 90


def test_what_is_drawn_at_random_stays_a_random_sample() -> None:
    # A third of the trials give one reason, which the model asks about first.
    texts = ["slow accrual" if n % 3 == 0 else f"reason {n}" for n in range(600)]
    pool = pool_of(texts)
    draws, given = Draws(pool, DrawSettings(mix={"random": 0.5, "uncertain": 0.5}), "Ada"), Given()
    for _ in range(150):
        drawn = draws.next(given, {"uncertain": range(0, 600, 3)})
        assert drawn.item is not None
        for item in drawn.repeated:
            assert item.text == "slow accrual"
            given.add(Answer(item.nct_id, item.text, ("a",), "Ada", drawn="random"))
        given.add(Answer(drawn.item.nct_id, drawn.item.text, ("a",), "Ada", drawn=drawn.way))
    sample = [given.by_key[key].text for key in given.at_random]
    assert np.mean([text == "slow accrual" for text in sample]) == pytest.approx(1 / 3, abs=0.08)


def test_the_end_of_a_pool() -> None:
    shown = label_all(pool_of(["a", "b", "A.", "c"]), DrawSettings(mix={"random": 1.0}))
    assert len(shown) == 3
    draws, given = Draws(pool_of(["a", "A."]), DrawSettings(mix={"random": 1.0}), "Ada"), Given()
    first = draws.next(given, {}).item
    assert first is not None
    given.add(Answer(first.nct_id, first.text, (), "Ada", drawn="random"))
    last = draws.next(given, {})
    assert last.item is None and len(last.repeated) == 1


def test_a_sheet_is_shown_whole_and_in_order(task, pool_file) -> None:
    data = pool_file(6, stratum=["x"] * 6, drawing_probability=[0.5] * 6, labels=[""] * 6)
    pool = read_pool(task, data)
    assert pool.listed and not pool.suggested
    assert label_all(pool, DrawSettings()) == [(place, "listed") for place in range(6)]
    assert pool[2].passed == {"stratum": "x", "drawing_probability": "0.5"}


def test_pools_of_several_kinds(task, pool_file, tmp_path) -> None:
    pool = read_pool(task, pool_file(4, text=["a", "", " - ", "b"]))
    assert (len(pool), pool.empty, pool[1].title) == (2, 2, "Trial 3")
    with pytest.raises(DataError, match="none of its 2 rows has a text"):
        read_pool(task, pool_file(2, text=["", ""]))
    with pytest.raises(UsageError, match="--review"):
        read_pool(task, pool_file(2), review=True)
    stated = [(0.7, 0.1, 0.1), (0.2, 0.6, 0.5)]
    rows = pl.DataFrame({
        "nct_id": ["NCT00000001", "NCT00000002"],
        "text": ["a", "b"],
        "labels": [["money"], ["people", "safety"]],
        "probabilities": [dict(zip(task.labels, row, strict=True)) for row in stated],
        "needs_review": [False, True],
    })  # fmt: skip
    (tmp_path / "out" / "labels").mkdir(parents=True)
    rows.write_parquet(tmp_path / "out" / "labels" / "part.parquet")  # as `apply` writes it
    for path in (tmp_path / "out", tmp_path / "out" / "labels" / "part.parquet"):
        pool = read_pool(task, path, review=True)
        assert pool[0].suggestion is not None and pool[0].suggestion.labels == ("people", "safety")
        assert pool[0].suggestion.probabilities["people"] == 0.6


def test_ranking_asks_for_rare_labels_and_for_doubt() -> None:
    chance = np.random.default_rng(0)
    stated = chance.uniform(0, 0.05, (500, 3))
    stated[:20, 2] = 0.9  # of the rare label
    stated[20:60, 0] = 0.3  # on the cut
    asked = np.arange(500) >= 490
    asked[:5] = True
    alike = np.zeros((500, 4))
    alike[60:80, 3] = 0.5  # like the definition of a label that no answer has
    stated = np.hstack([stated, np.zeros((500, 1))])
    found = rank(stated, alike, np.array([50, 50, 3, 0]), asked, seed=(1, 2))
    assert set(range(60, 80)) <= set(found["rare"])
    assert set(found["uncertain"][:5]) <= set(range(20, 60))
    assert len(set(range(20)) & set(found["rare"])) == 15
    assert not set(np.flatnonzero(asked)) & {*found["uncertain"], *found["rare"]}
    assert all(len(set(rows)) == len(rows) for rows in found.values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mix": {"random": 0.5, "often": 0.5}}, "'often' is not one of random, uncertain, rare"),
        ({"mix": {"random": 0.5}}, "add up to 1, not 0.5"),
        ({"mix": {"random": 0.2, "rare": 0.8}, "double": 0.5}, "--double 0.5 is more than the share"),
    ],
)
def test_settings_that_cannot_be(given, said) -> None:
    with pytest.raises(UsageError, match=said):
        validated(DrawSettings, given, where="--mix")
