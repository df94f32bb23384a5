"""Sheets filled in by people, and by their spreadsheets: what is taken, and what is refused, with the row."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialtune.annotation.labels_file import LabelsFile
from trialtune.dataset.answers import Answer
from trialtune.errors import DataError
from trialtune.estimation.gold_rows import GoldRows, read_gold
from trialtune.estimation.population import Population, read_population
from trialtune.estimation.settings import PlanSettings
from trialtune.stages.estimate_plan import plan_estimate

Edit = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture(scope="module")
def registry(make_registry, tmp_path_factory):
    return make_registry(tmp_path_factory.mktemp("gold"))


@pytest.fixture(scope="module")
def filled(registry) -> pl.DataFrame:
    """The sheet of a plan with all labels filled in, every cell a text."""
    sheet = registry.folder / "sheet.csv"
    plan_estimate(registry.labels, sheet, settings=PlanSettings(rows=200))
    return pl.read_csv(registry.fill(sheet), infer_schema=False)


@pytest.fixture(scope="module")
def population(registry) -> Population:
    return read_population(registry.labels)


@pytest.fixture
def read(population, filled, tmp_path) -> Callable[..., GoldRows]:
    """Reads the sheet, edited; `write(table, path)` if not as plain CSV."""

    def one(edit: Edit = lambda table: table, write=pl.DataFrame.write_csv, **kwargs) -> GoldRows:
        path = tmp_path / "sheet.csv"
        write(edit(filled), path)
        others = np.ones(len(population), dtype=bool)
        return read_gold(path, population, others=kwargs.pop("others", others), **kwargs)

    return one


def cell(column: str, place: int, value: str | None) -> Edit:
    here = pl.int_range(pl.len()) == place
    return lambda table: table.with_columns(
        pl.when(here).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )


def blank(rows: pl.Expr) -> Edit:
    return lambda table: table.with_columns(
        pl.when(rows).then(None).otherwise(pl.col("labels")).alias("labels")
    )


def test_the_sheet_of_a_plan(read, filled, population, registry) -> None:
    found = read()
    assert population.nct_ids[found.places].to_list() == filled["nct_id"].to_list()
    names = np.array(list(population.task.labels))
    said = ["|".join(sorted(names[row])) or "-" for row in found.holds]
    assert said == ["|".join(sorted(registry.true[one].split("|"))) for one in filled["nct_id"]]
    assert found.weights.sum() == pytest.approx(600)
    np.testing.assert_allclose(found.weights, 1 / filled["drawing_probability"].cast(float).to_numpy())
    assert (found.drawn, found.labelled, found.strata, found.assumed) == (200, 200, 8, False)
    assert found.counts.later == found.counts.skipped == found.counts.changed == found.counts.aside == 0


def test_rows_that_are_not_labelled_yet_are_stood_for_by_those_of_their_stratum(read, filled) -> None:
    found = read(blank((pl.int_range(pl.len()) >= 150) | (pl.int_range(pl.len()) == 7)))
    assert (found.labelled, found.later, found.skipped) == (149, 50, 1)
    strata = filled["stratum"].gather(np.delete(np.arange(150), 7))
    whole = 1 / filled["drawing_probability"].cast(float)
    for one in set(strata):
        stood = whole.filter(filled["stratum"] == one).sum()
        assert found.weights[(strata == one).to_numpy()].sum() == pytest.approx(stood)
    assert read(cell("labels", 3, "  ")).skipped == 1


def test_rows_whose_text_has_changed_are_left_out_and_counted(read) -> None:
    found = read(cell("text_hash", 3, "f" * 16))
    assert (found.labelled, found.changed, found.skipped) == (199, 1, 0)
    # A hash that a spreadsheet took for a number says nothing.
    assert read(cell("text_hash", 3, "1.2E+15")).changed == 0


def test_a_sheet_without_strata_weighs_by_its_probabilities(read, filled) -> None:
    found = read(lambda table: table.drop("stratum"))
    chances = filled["drawing_probability"].cast(float).to_numpy()
    np.testing.assert_allclose(found.weights * chances, (found.weights * chances)[0])
    assert found.weights.sum() == pytest.approx(600)


def semicolons(table: pl.DataFrame, path: Path) -> None:
    table.write_csv(path, separator=";")


def windows(table: pl.DataFrame, path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + table.write_csv().replace("\n", "\r\n").encode())


def trailing(table: pl.DataFrame, path: Path) -> None:
    lines = [f"{line},," for line in table.write_csv().splitlines()]
    path.write_text("\n".join([*lines, *["," * (table.width + 1)] * 3]))


def quoted(table: pl.DataFrame, path: Path) -> None:
    nothing = table.clear().cast(pl.String)
    nothing.extend(pl.DataFrame([[""] * 3] * table.width, schema=nothing.schema))
    pl.concat([table, nothing]).write_csv(path, quote_style="always")


def decimal_commas(table: pl.DataFrame, path: Path) -> None:
    table.with_columns(pl.col("drawing_probability").str.replace(".", ",", literal=True)).write_csv(
        path, separator=";"
    )


@pytest.mark.parametrize(
    "write",
    [
        semicolons,
        windows,
        trailing,
        decimal_commas,
        lambda table, path: table.write_csv(path, separator="\t"),
        quoted,
        lambda table, path: table.with_columns(pl.col("nct_id").str.to_lowercase() + " ").write_csv(path),
        lambda table, path: table.rename(str.upper).write_csv(path),
        lambda table, path: table.with_columns(pl.col("labels").str.replace_all("_", " ")).write_csv(path),
        lambda table, path: table.with_columns(
            pl.col("labels").str.replace("|", "; ", literal=True)
        ).write_csv(path),
    ],
)
def test_sheets_as_spreadsheets_write_them_back(read, write) -> None:
    plain, found = read(), read(write=write)
    assert (found.places == plain.places).all() and (found.holds == plain.holds).all()
    np.testing.assert_allclose(found.weights, plain.weights)
    assert found.counts == plain.counts


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (cell("nct_id", 3, "NCT99999999"), "row 5: NCT99999999 is not among the labelled trials"),
        (cell("nct_id", 3, None), "row 5: an empty NCT id"),
        (
            lambda table: cell("nct_id", 3, None)(cell("nct_id", 9, None)(table)),
            r"row 5: an empty NCT id .*\(2 such rows\)",
        ),
        (cell("labels", 3, "Safety_Sideefects"), "row 5: .*'Safety_Sideefects'; did you mean 'Safety_Side"),
        (cell("labels", 3, "TRUE"), "row 5: no label of stop-reasons is named 'TRUE'"),
        (cell("drawing_probability", 3, None), "row 5: NCT0.* has no drawing_probability"),
        (cell("drawing_probability", 3, "0"), "row 5: NCT0.* has '0' as drawing_probability"),
        (cell("drawing_probability", 3, "often"), "row 5: NCT0.* has 'often' as drawing_probability"),
        (cell("drawing_probability", 3, "nan"), "row 5: NCT0.* has 'nan' as drawing_probability"),
        (cell("drawing_probability", 3, "1,5"), "row 5: NCT0.* has '1,5' as drawing_probability"),
        (cell("drawing_probability", 3, "0.4999"), "stratum . has several drawing probabilities"),
        (cell("stratum", 3, None), "row 5: NCT0.* has no stratum"),
        (lambda table: pl.concat([table, table[5:6]]), "is in rows 7, 202; keep one row per trial"),
        (lambda table: table[:150], "imply [0-9]+ rows, but there are 600"),
        (lambda table: table[:100].drop("stratum"), "imply [0-9]+ rows, but there are 600"),
        (blank(pl.col("stratum") == "2"), "no row of stratum 2 is labelled .1 of 8"),
        (blank(pl.lit(True)), "no row has labels yet; fill in"),
        (lambda table: table.drop("labels"), "has no column labels"),
        (lambda table: table.drop("nct_id"), "has no column nct_id"),
        (
            lambda table: table.drop("drawing_probability"),
            "has no column drawing_probability.*--assume-random",
        ),
    ],
)
def test_what_would_mislead_is_refused_with_its_row(read, edit, said) -> None:
    with pytest.raises(DataError, match=said) as error:
        read(edit)
    assert "sheet.csv" in str(error.value)


def test_rows_that_are_known_already_are_refused(read, population, filled) -> None:
    others = np.ones(len(population), dtype=bool)
    others[population.nct_ids.index_of(filled["nct_id"][4])] = False
    with pytest.raises(DataError, match=r"row 6: NCT\d+ has a known label already .1 such.*plan --known"):
        read(others=others)


def test_rows_that_the_user_calls_random_are_marked(read) -> None:
    found = read(lambda table: table.select("nct_id", "labels")[:80], assume_random=True)
    assert found.assumed and found.labelled == 80
    assert found.weights.tolist() == [600 / 80] * 80


def test_rows_that_annotate_chose_for_what_they_teach_are_left_out(read) -> None:
    ways = pl.Series("drawn", ["random", "doubt", "listed", "doubt"] * 50)
    found = read(lambda table: table.select("nct_id", "labels", ways))
    assert (found.drawn, found.labelled, found.aside, found.assumed) == (100, 100, 100, False)


def test_an_answer_of_annotate_without_a_label_says_that_none_holds(read) -> None:
    status = pl.Series("status", ["labelled", "skipped"] * 100)
    found = read(
        lambda table: table.with_columns(
            status,
            pl.Series("drawn", ["random"] * 200),
            pl.lit("").alias("labels"),
            pl.lit("ada").alias("annotator"),
        ).drop("drawing_probability", "stratum", "text_hash")
    )
    assert (found.labelled, found.skipped, found.later) == (100, 99, 1)
    assert not found.holds.any()


def test_lists_of_labels(population, filled, tmp_path) -> None:
    lists = [[] if said == "-" else said.split("|") for said in filled["labels"]]
    table = filled.with_columns(
        pl.Series("labels", lists), pl.col("drawing_probability").cast(float), pl.col("stratum").cast(int)
    )
    table.filter(pl.col("labels").list.len() > 0).write_parquet(tmp_path / "gold.parquet")
    others = np.ones(len(population), dtype=bool)
    # An empty list is a row without an answer, and its rows are missing here: they do not stand for all.
    with pytest.raises(DataError, match="imply"):
        read_gold(tmp_path / "gold.parquet", population, others=others)
    table.write_parquet(tmp_path / "gold.parquet")
    found = read_gold(tmp_path / "gold.parquet", population, others=others)
    assert found.labelled == sum(map(bool, lists))
    assert found.skipped + found.later == 200 - found.labelled


def test_one_label_of_a_multi_class_task(tmp_path) -> None:
    ids = [f"NCT{number:08}" for number in range(40)]
    labels = pl.DataFrame({"nct_id": ids, "labels": ["ALL", "MALE"] * 20})
    labels.with_columns(
        probability_ALL=pl.lit("0.6"), probability_FEMALE=pl.lit("0.1"), probability_MALE=pl.lit("0.3")
    ).write_csv(tmp_path / "labels.csv")
    population = read_population(tmp_path / "labels.csv")
    assert population.task.name == "sex"
    others = np.ones(40, dtype=bool)
    for said, problem in (
        ("ALL|MALE", "row 4: .*'ALL.MALE'"),
        ("-", "row 4: '-' is not one label; sex takes"),
    ):
        labels.with_columns(
            labels=pl.when(pl.int_range(pl.len()) == 2).then(pl.lit(said)).otherwise("labels")
        ).write_csv(tmp_path / "gold.csv")
        with pytest.raises(DataError, match=problem):
            read_gold(tmp_path / "gold.csv", population, others=others, assume_random=True)
    labels.write_csv(tmp_path / "gold.csv")
    found = read_gold(tmp_path / "gold.csv", population, others=others, assume_random=True)
    assert found.holds.sum(axis=0).tolist() == [20, 0, 20]


def test_a_labels_file_of_annotate_is_read_as_it_stands(population, filled, registry, tmp_path) -> None:
    path = tmp_path / "labels.csv"
    answers = []
    for place, row in enumerate(filled.head(150).iter_rows(named=True)):
        labels = tuple(label for label in (row["labels"] or "").split("|") if label not in ("", "-"))
        status = "unsure" if place in (3, 70) else "labelled"
        answer = Answer(
            nct_id=row["nct_id"],
            text=row["text"],
            labels=() if status == "unsure" else labels,
            annotator="ada",
            status=status,
            drawn="listed",
            passed={name: row[name] for name in ("stratum", "drawing_probability")},
        )
        answers += [answer] if place % 10 else [answer, replace(answer, annotator="bo")]
    file = LabelsFile(path, population.task, passed=["stratum", "drawing_probability"], tell=str)
    file.append(answers)
    file.close()
    found = read_gold(path, population, others=np.ones(len(population), dtype=bool))
    assert (found.labelled, found.drawn, found.skipped, found.strata) == (148, 150, 2, 8)
    assert found.weights.sum() == pytest.approx(len(population))
    names = np.array(list(population.task.labels))
    said = {
        population.nct_ids[int(p)]: set(names[row]) for p, row in zip(found.places, found.holds, strict=True)
    }
    assert all(labels == set(registry.true[one].split("|")) - {"-"} for one, labels in said.items())


def test_answers_that_annotators_disagree_on_do_not_count(population, filled, tmp_path) -> None:
    path = tmp_path / "labels.csv"
    file = LabelsFile(path, population.task, tell=str)
    for place, row in enumerate(filled.head(60).iter_rows(named=True)):
        for name, labels in (("ada", ("Negative",)), ("bo", ("Negative",) if place > 4 else ())):
            drawn = {"nct_id": row["nct_id"], "text": row["text"], "drawn": "random"}
            file.append([Answer(**drawn, labels=labels, annotator=name)])
    file.close()
    found = read_gold(path, population, others=np.ones(len(population), dtype=bool))
    assert (found.labelled, found.drawn, found.assumed) == (55, 60, False)
    assert found.weights.sum() == pytest.approx(len(population))
