"""Labelled rows and what they are grouped by, of any table, a snapshot or an output of `apply`."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialtune.dataset.tables import write_table
from trialtune.errors import DataError, UsageError
from trialtune.estimation.population import Cells, Population, read_population
from trialtune.registry.snapshot.build import import_trials
from trialtune.stages.apply import label_registry
from trialtune.tasks.catalog import load_task, task_from_spec
from trialtune.tasks.spec import TaskSpec

REASONS = load_task("stop-reasons")


@pytest.fixture(scope="module")
def registry(make_registry, tmp_path_factory):
    return make_registry(tmp_path_factory.mktemp("population"), 90)


@pytest.fixture(scope="module")
def labels(registry) -> pl.DataFrame:
    return pl.read_parquet(registry.labels)


def groups_of(population: Population, name: str) -> dict[str, set[str]]:
    """Group -> the NCT ids in it."""
    cells = population.groups[name]
    found: dict[str, set[str]] = {value: set() for value in cells.names}
    for row, place in zip(cells.rows, cells.cells, strict=True):
        found[cells.names[place]].add(population.nct_ids[int(row)])
    return found


def test_labels_and_probabilities(registry, labels) -> None:
    found = read_population(registry.labels)
    assert found.task is REASONS and found.classifier == "f00d" and len(found) == 90
    assert found.predicted.sum(axis=1).tolist() == labels["labels"].list.len().to_list()
    np.testing.assert_allclose(found.stated, labels["probabilities"].struct.unnest().to_numpy(), rtol=1e-6)
    assert found.within.all() and found.without_text == 0


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_other_kinds_of_tables_say_the_same(registry, tmp_path, labels, suffix) -> None:
    write_table(labels, tmp_path / f"labels{suffix}")
    one, other = read_population(registry.labels), read_population(tmp_path / f"labels{suffix}")
    assert (one.predicted == other.predicted).all()
    np.testing.assert_allclose(one.stated, other.stated, rtol=1e-6)
    assert other.classifier == "f00d" and other.text_hashes.equals(one.text_hashes)


def test_groups_of_columns_lists_years_and_pairs(registry, labels) -> None:
    trials = pl.read_parquet(registry.trials)
    by = ["sponsor", "countries", "sponsor+start_year"]
    found = read_population(registry.labels, trials=registry.trials, by=by)
    sponsors = groups_of(found, "sponsor")
    assert {name: len(ids) for name, ids in sponsors.items()} == dict(
        trials.group_by("sponsor").len().sort("sponsor").rows()
    )
    countries = groups_of(found, "countries")
    assert countries["Peru"] == set(trials["nct_id"].gather(np.flatnonzero(np.arange(90) % 3 < 2)))
    assert len(countries["France"]) == len(countries["not given"]) == 30
    both = groups_of(found, "sponsor+start_year")
    assert sum(map(len, both.values())) == 90
    assert both["NIH / 2016"] == set(trials.filter(sponsor="NIH", start_year="2016")["nct_id"])


def test_years_of_dates_in_any_spelling(registry, labels, tmp_path) -> None:
    written = ["2019-03-01", "March 2020", "7 March 2020", "2021", "", None, "unknown", "20/03/1999"]
    dates = [written[place % 8] for place in range(90)]
    labels.select("nct_id", pl.Series("completion_date", dates)).write_csv(tmp_path / "dates.csv")
    found = read_population(registry.labels, trials=tmp_path / "dates.csv", by=["completion_year"])
    counts = {name: len(ids) for name, ids in groups_of(found, "completion_year").items()}
    assert counts == {"1999": 11, "2019": 12, "2020": 23, "2021": 11, "not given": 33}


def test_trials_that_the_table_of_trials_lacks_are_in_no_given_group(registry, tmp_path) -> None:
    pl.read_parquet(registry.trials).head(50).write_parquet(tmp_path / "trials.parquet")
    found = read_population(registry.labels, trials=tmp_path / "trials.parquet", by=["sponsor"])
    assert len(found) == 90 and len(groups_of(found, "sponsor")["not given"]) == 40


def test_a_condition_says_what_is_asked_about(registry, tmp_path) -> None:
    trials = pl.read_parquet(registry.trials)
    found = read_population(
        registry.labels, trials=registry.trials, where="sponsor = 'NIH' and list_contains(countries, 'Peru')"
    )
    wanted = trials.filter((pl.col("sponsor") == "NIH") & pl.col("countries").list.contains("Peru"))["nct_id"]
    assert set(found.nct_ids.filter(pl.Series(found.within))) == set(wanted) and len(found) == 90


def test_trials_without_a_text_are_counted(labels, tmp_path) -> None:
    gone = pl.int_range(pl.len()) % 9 == 0
    labels.with_columns(pl.when(~gone).then("labels")).write_parquet(tmp_path / "labels.parquet")
    found = read_population(tmp_path / "labels.parquet")
    assert (len(found), found.without_text) == (80, 10)


def edited(name: str, value: object) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) == 3).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda table: pl.concat([table, table[:2]]), r"2 NCT ids are in several rows \(NCT0"),
        (lambda table: table.with_columns(edited("nct_id", None)), r"1 rows have no NCT id .*row 4"),
        (lambda table: table.with_columns(edited("classifier", "b")), r"labels of 2 classifiers \(b, f00d"),
        (
            lambda table: table.with_columns(edited("labels", ["Safety"])),
            "NCT00000004: no label of stop-reasons is named 'Safety'; did you mean 'Safety_Sideeffects'",
        ),
        (
            lambda table: table.with_columns(edited("probabilities", None)),
            "NCT00000004 has labels, but lacks",
        ),
        (
            lambda table: table.with_columns(
                pl.col("probabilities").struct.with_fields(Negative=pl.lit(1.2))
            ),
            "NCT00000001 has a probability outside 0 to 1",
        ),
        (lambda table: table.clear(), "no row has labels"),
        (lambda table: table.drop("labels"), "has no column labels .it has nct_id, phase, text"),
        (lambda table: table.drop("nct_id"), "has no column nct_id"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(labels, tmp_path, edit, said) -> None:
    edit(labels).write_parquet(tmp_path / "labels.parquet")
    with pytest.raises(DataError, match=said) as error:
        read_population(tmp_path / "labels.parquet")
    assert "labels.parquet" in str(error.value)


def test_the_task_is_told_by_the_probabilities_or_by_the_user(labels, tmp_path) -> None:
    labels.drop("probabilities").write_parquet(tmp_path / "bare.parquet")
    with pytest.raises(UsageError, match="name it with --task"):
        read_population(tmp_path / "bare.parquet")
    assert read_population(tmp_path / "bare.parquet", REASONS).stated is None
    with pytest.raises(DataError, match=r"NCT0.*: no label of sex is named"):
        read_population(tmp_path / "bare.parquet", load_task("sex"))


def test_an_output_of_apply_names_the_users_own_task(make_classifier, registry, tmp_path) -> None:
    own = task_from_spec(
        TaskSpec(name="mine", kind="multi_class", labels=("Late", "Early"), text=("brief_title",))
    )
    pl.DataFrame(
        {"nct_id": ["NCT00000001", "NCT00000002"], "brief_title": ["one trial", "another"]}
    ).write_csv(tmp_path / "trials.csv")
    import_trials(tmp_path / "trials.csv", tmp_path / "trials.parquet")
    classifier = make_classifier(own, tmp_path / "classifier")
    label_registry(classifier, tmp_path / "trials.parquet", tmp_path / "out")
    for labelled in (tmp_path / "out", tmp_path / "out" / "labels" / "part-00000.parquet"):
        found = read_population(labelled).task
        assert (found.name, found.kind, [*found.labels]) == ("mine", "multi_class", ["Late", "Early"])
    unnamed = pl.read_parquet(tmp_path / "out" / "labels" / "*.parquet")
    unnamed.write_parquet(tmp_path / "unnamed.parquet")
    with pytest.raises(UsageError, match=r"--task: stop-reasons, sex, or the .yaml file of your own task"):
        read_population(tmp_path / "unnamed.parquet")


def test_tables_of_trials_that_cannot_be_used_are_refused(registry, tmp_path) -> None:
    trials = pl.read_parquet(registry.trials)
    pl.concat([trials, trials[:2]]).write_parquet(tmp_path / "twice.parquet")
    trials.drop("nct_id").write_parquet(tmp_path / "unnamed.parquet")
    (tmp_path / "torn.parquet").write_bytes(registry.trials.read_bytes()[:200])
    for name, said in (
        ("twice.parquet", "2 rows repeat an NCT id"),
        ("unnamed.parquet", "has no column nct_id"),
        ("torn.parquet", "cannot be read"),
        ("none.parquet", "cannot be read"),
    ):
        with pytest.raises(DataError, match=f"{name}: {said}"):
            read_population(registry.labels, trials=tmp_path / name, by=["sponsor"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"by": ["sponser"]}, "--by sponser: no such column; did you mean 'sponsor'"),
        ({"by": ["sponsor+yeer"]}, "--by yeer: no such column"),
        ({"where": "sponsr = 3"}, "--where 'sponsr = 3': Binder Error.*sponsr"),
        ({"where": "sponsor = "}, "--where 'sponsor = ': Parser Error"),
        ({"where": "sponsor"}, "--where 'sponsor': Conversion Error"),
        ({"where": "count(*) > 3"}, "--where"),
        ({"where": "sponsor = 'nobody'"}, "--where \"sponsor = 'nobody'\": no labelled trial matches"),
    ],
)
def test_wrong_questions_are_a_users_mistake(registry, asked, said) -> None:
    with pytest.raises(UsageError, match=said):
        read_population(registry.labels, trials=registry.trials, **asked)


def test_a_folder_that_apply_did_not_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not an output of `trialtune apply`"):
        read_population(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_population(tmp_path / "labels.csv")


def test_which_rows_are_in_which_group() -> None:
    cells = Cells(("a", "b", "c"), np.array([4, 0, 1, 1, 2]), np.array([2, 0, 0, 1, 1]))
    members = cells.members(np.array([1, 4, 3]))
    assert members.tolist() == [[True, False, False], [True, False, False], [False, True, False]]
    joined = Cells.joined([cells, Cells(("d",), np.array([3]), np.array([0]))])
    assert joined.names == ("a", "b", "c", "d")
    assert joined.members(np.array([3])).tolist() == [[False], [False], [False], [True]]
