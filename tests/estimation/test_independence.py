"""Gold rows that taught the classifier say nothing of it: seen, refused, or scored by others."""

import numpy as np
import polars as pl
import pytest

from trialtune.classifier.folder import ClassifierFolder
from trialtune.dataset.seen import write_seen
from trialtune.errors import DataError
from trialtune.estimation.settings import EstimateSettings, PlanSettings
from trialtune.stages.estimate import estimate
from trialtune.stages.estimate_plan import plan_estimate


@pytest.fixture(scope="module")
def registry(make_registry, tmp_path_factory):
    return make_registry(tmp_path_factory.mktemp("independence"))


@pytest.fixture(scope="module")
def gold(registry):
    """A sheet of 150 rows, filled in."""
    sheet = registry.folder / "sheet.csv"
    plan_estimate(registry.labels, sheet, settings=PlanSettings(rows=150))
    return registry.fill(sheet)


@pytest.fixture
def trained(registry, make_classifier, tmp_path):
    """`trained(rows)`: a classifier that says it was trained on these rows, and labels that it gave."""
    folder = make_classifier("stop-reasons", tmp_path / "clf")
    name = ClassifierFolder.open(folder).fingerprint
    labels = pl.read_parquet(registry.labels).with_columns(classifier=pl.lit(name))
    labels.write_parquet(tmp_path / "labels.parquet")

    def one(rows: pl.Expr) -> tuple[str, str]:
        write_seen(labels.filter(rows).select("nct_id", "text"), folder)
        return str(folder), str(tmp_path / "labels.parquet")

    return one


def among(sheet) -> pl.Expr:
    return pl.col("nct_id").is_in(pl.read_csv(sheet)["nct_id"].implode())


def test_a_classifier_trained_on_the_gold_rows_is_refused(trained, gold) -> None:
    folder, labels = trained(among(gold))
    with pytest.raises(DataError, match=r"was trained on 150 of the 150 gold rows .*--out-of-fold"):
        estimate(labels, gold, classifier=folder)
    # Hand labels alone need no classifier.
    found = estimate(labels, gold, classifier=folder, settings=EstimateSettings(method="hand"))
    assert found.independent is None and {one.method for one in found.shares} == {"hand"}


def test_its_predictions_out_of_fold_are_taken_instead(trained, gold, registry, tmp_path) -> None:
    _, labels = trained(among(gold))
    table = pl.read_parquet(labels)
    # On the rows that taught it the classifier is right; out of fold it errs as elsewhere.
    truth = table.with_columns(
        labels=pl.col("nct_id").map_elements(
            lambda one: [name for name in registry.true[one].split("|") if name != "-"], pl.List(pl.String)
        )
    )
    flattered = table.join(truth.filter(among(gold)).select("nct_id", right="labels"), "nct_id", "left")
    flattered.with_columns(labels=pl.coalesce("right", "labels")).drop("right").write_parquet(labels)
    table.filter(among(gold)).sample(fraction=1, shuffle=True, seed=1).write_parquet(tmp_path / "oof.parquet")
    settings = EstimateSettings(method="stratified")
    found = estimate(labels, gold, out_of_fold=tmp_path / "oof.parquet", settings=settings)
    assert found.independent is True
    plain = estimate(registry.labels, gold, settings=settings)
    wide = [one.high - one.low for one in found.shares if one.gold_with >= 10]
    assert wide == pytest.approx(
        [one.high - one.low for one in plain.shares if one.gold_with >= 10], rel=0.05
    )
    table.filter(among(gold)).head(149).write_parquet(tmp_path / "short.parquet")
    with pytest.raises(DataError, match=r"short.parquet: 1 gold rows are missing \(NCT0"):
        estimate(labels, gold, out_of_fold=tmp_path / "short.parquet")


def test_gold_rows_drawn_after_the_training_are_accepted(trained, gold) -> None:
    """The classifier saw 40% of all rows, and so about 40% of the gold rows."""
    folder, labels = trained(pl.Series(np.random.default_rng(1).random(600) < 0.4))
    found = estimate(labels, gold, classifier=folder)
    assert found.independent is True and not any("--classifier" in note for note in found.notes)


def test_what_cannot_be_told_is_said(registry, gold, trained, tmp_path) -> None:
    found = estimate(registry.labels, gold)  # of a classifier that nobody names
    assert found.independent is False
    assert any("give it as --classifier" in note for note in found.notes)
    folder, labels = trained(among(gold))
    (tmp_path / "clf" / "seen.parquet").unlink()
    assert estimate(labels, gold, classifier=folder).independent is False


def test_another_classifier_is_refused(registry, gold, trained) -> None:
    folder, _ = trained(among(gold))
    with pytest.raises(DataError, match=r"its fingerprint is .*, the labels are by f00d"):
        estimate(registry.labels, gold, classifier=folder)
    with pytest.raises(DataError, match="no such classifier"):
        estimate(registry.labels, gold, classifier="nobody")
