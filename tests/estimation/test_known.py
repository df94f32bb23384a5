"""Labels that are known without a draw."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2

from trialtune.errors import DataError, UsageError
from trialtune.estimation.known import known_labels
from trialtune.estimation.population import read_population
from trialtune.stages.estimate import estimate
from trialtune.tasks.catalog import load_task
from trialtune.tasks.task import Agreement

REASONS = load_task("stop-reasons")
AGREED = REASONS.gold_agreement


@pytest.fixture(scope="module")
def registry(make_registry, tmp_path_factory):
    return make_registry(tmp_path_factory.mktemp("known"), 90)


def test_noise_is_the_upper_bound_of_the_errors_of_one_pass() -> None:
    assert AGREED is not None
    disagreed = 2 * (1 - 0.988) * 641  # each a false positive or negative of one against the other
    upper = chi2.ppf(0.975, 2 * (disagreed + 1)) / 2  # Garwood's interval (1936) of a Poisson count
    assert AGREED.noise == pytest.approx(upper / 2 / 641)
    assert Agreement(texts=10, labels=641, micro_f1=1).noise == pytest.approx(-np.log(0.025) / 2 / 641)


def test_shipped_labels_are_those_of_the_same_wording(shared_data, tmp_path) -> None:
    """Real reasons, their hand labels beside them: shares are the truth, intervals the noise alone."""
    rows = pl.read_parquet(shared_data / "stop_reasons_silver.parquet").head(2000)
    table = rows.select("nct_id", "text", labels=pl.concat_list("weak_label")).unique("nct_id", keep="first")
    known_weak = pl.col("labels").list.first().is_in([*REASONS.labels])
    table = table.with_columns(labels=pl.when(known_weak).then("labels").otherwise(pl.lit(["Success"])))
    table.write_parquet(tmp_path / "labels.parquet")
    truth = table.select("nct_id").join(
        rows.unique("nct_id", keep="first"), on="nct_id", maintain_order="left"
    )
    population = read_population(tmp_path / "labels.parquet", REASONS)
    known = known_labels("shipped", population)
    assert known.rows.mean() > 0.99
    assert (known.rows >= truth["labels"].is_not_null().to_numpy()).all()
    there = truth["labels"].is_not_null().to_numpy()
    names = [*REASONS.labels]
    said = [sorted(names[place] for place in np.flatnonzero(row)) for row in known.holds[there]]
    assert said == [sorted(labels) for labels in truth["labels"].drop_nulls()]
    result = estimate(tmp_path / "labels.parquet", known="shipped", task=REASONS)
    assert result.trials == result.known == known.rows.sum() and result.gold is None
    assert result.outside == len(table) - result.trials
    for one, share in zip(result.shares, known.holds[known.rows].mean(axis=0), strict=True):
        assert one.method == "known" and one.share == pytest.approx(share)
        assert (one.low, one.high) == pytest.approx(
            (share * (1 - AGREED.noise), min(share * (1 + AGREED.noise), 1))
        )
    assert any("Known labels come from a single annotation pass" in note for note in result.notes)
    assert "known from hand labelling" in result.paragraph


def test_known_labels_as_a_random_draw_on_the_users_word(registry, tmp_path) -> None:
    table = pl.DataFrame({"nct_id": list(registry.true)[:60], "labels": list(registry.true.values())[:60]})
    table.write_csv(tmp_path / "known.csv")
    sure = estimate(registry.labels, known=tmp_path / "known.csv")
    assert (sure.trials, sure.known, sure.outside) == (60, 60, 30)
    assert any("30 trials are left out" in note for note in sure.notes)
    drawn = estimate(registry.labels, known=tmp_path / "known.csv", assume_random=True)
    assert (drawn.trials, drawn.known, drawn.outside) == (90, 0, 0)
    assert drawn.gold is not None and drawn.gold.labelled == 60 and drawn.gold.assumed_random
    assert any("assumed to be a random sample" in note for note in drawn.notes)
    for known, random in zip(sure.shares, drawn.shares, strict=True):
        assert known.share == known.low == known.high == pytest.approx(random.share)
        assert random.method == "hand" and random.low < random.high  # the classifier may know them


def test_a_table_of_known_labels(registry, tmp_path) -> None:
    population = read_population(registry.labels)
    ids, labels = list(registry.true), list(registry.true.values())
    given = {"nct_id": [*ids[:10], "NCT99999999"], "labels": [None, "-", *labels[2:10], "Success"]}
    pl.DataFrame(given).write_csv(tmp_path / "known.csv")
    known = known_labels(tmp_path / "known.csv", population)
    # An empty cell is of no known row; the registry need not have all of them.
    assert np.flatnonzero(known.rows).tolist() == list(range(1, 10))
    assert not known.holds[1].any() and known.noise == 0
    names = [*REASONS.labels]
    for row in range(2, 10):
        found = [names[place] for place in np.flatnonzero(known.holds[row])]
        assert sorted(found) == sorted(set(labels[row].split("|")) - {"-"})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"nct_id": ["NCT00000001"] * 2, "labels": ["Success"] * 2}, "NCT00000001 is in rows 2, 3"),
        ({"nct_id": ["NCT00000001"], "labels": ["Sucess"]}, "row 2: .*'Sucess'; did you mean 'Success'"),
        ({"nct_id": ["NCT99999999"], "labels": ["Success"]}, "none of its trials is among the labelled"),
        ({"nct_id": ["NCT00000001"], "label": ["Success"]}, "has no column labels"),
    ],
)
def test_tables_that_cannot_be_used(registry, tmp_path, rows, said) -> None:
    pl.DataFrame(rows).write_csv(tmp_path / "known.csv")
    with pytest.raises(DataError, match=f"known.csv.*{said}"):
        estimate(registry.labels, known=tmp_path / "known.csv")


def test_tasks_and_rows_without_shipped_labels(registry, tmp_path) -> None:
    pl.read_parquet(registry.labels).drop("text").write_parquet(tmp_path / "bare.parquet")
    with pytest.raises(DataError, match="no column text"):
        estimate(tmp_path / "bare.parquet", known="shipped")
    pl.DataFrame({"nct_id": ["NCT00000001"], "labels": ["ALL"]}).write_csv(tmp_path / "sex.csv")
    with pytest.raises(UsageError, match="--known shipped: sex has no shipped labels"):
        estimate(tmp_path / "sex.csv", known="shipped", task=load_task("sex"))
