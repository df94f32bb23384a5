"""Tasks are found by name or declared in a file, and what is wrong with either is explained."""

import polars as pl
import pytest

from trialtune.dataset.examples import load_examples
from trialtune.errors import UsageError
from trialtune.files import read_json
from trialtune.tasks.catalog import TASKS, load_task, task_from_description


@pytest.mark.parametrize("name", ["stop-reasons", "sex"])
def test_every_label_is_defined(name):
    task = load_task(name)
    assert task.name == name
    assert all(definition.endswith(".") and len(definition) > 15 for definition in task.labels.values())


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("stop_reasons", "stop-reasons"), ("stopreason", "stop-reasons"), ("gender", "sex"), ("Sex", "sex")],
)
def test_a_wrong_name_gets_the_nearest(wrong, right):
    with pytest.raises(UsageError, match=f"did you mean '{right}'"):
        load_task(wrong)


def test_no_task_reads_a_structured_answer():
    for task in TASKS.values():
        assert not {"sex", "minimum_age", "maximum_age"} & set(task.fields)


OWN = """
name: blinding
kind: multi_class
labels: {Open: everybody knows, Blind: nobody knows, "None": ""}
text: [Brief Title, design]
label_columns: masking
synonyms: {double blind: Blind, "": None}
data: rows.csv
max_length: 32
"""


def declare(tmp_path, text=OWN):
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_task_is_declared_in_yaml(tmp_path):
    task = load_task(str(declare(tmp_path)))
    assert (task.name, task.kind, task.max_length) == ("blinding", "multi_class", 32)
    assert list(task.labels) == ["Open", "Blind", "None"]
    assert task.spec.data == str(tmp_path / "rows.csv")
    table = pl.DataFrame(
        {
            "Brief Title": ["Iron &amp; zinc", "Salt", None, "Water", "Sugar"],
            "design": ["two arms", None, "cross-over.", "one arm", "x"],
            "masking": ["double-blind", "OPEN", "none", None, " "],
        }
    )
    rows = load_examples(task, table, where="rows.csv").frame
    assert rows["text"].to_list() == [
        "Iron & zinc. two arms.",
        "Salt.",
        "cross-over.",
        "Water. one arm.",
        "Sugar. x.",
    ]
    assert rows["labels"].to_list() == [["Blind"], ["Open"], ["None"], ["None"], ["None"]]


def test_the_shortest_declaration(tmp_path):
    task = load_task(
        declare(tmp_path, "{name: a, kind: multi_label, labels: [x, y], data: hf://datasets/o/n/f.csv}")
    )
    assert dict(task.labels) == {"x": "", "y": ""}
    assert task.fields == ("text",)
    assert task.spec.data == "hf://datasets/o/n/f.csv"
    assert task.text_of({"text": "A\nline &amp; more"}) == "A line & more"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("max_length", "maxlength"), r"maxlength: no such setting; did you mean 'max_length'\?"),
        (("kind: multi_class", "kind: multiclass"), r"kind: .*'multi_label' or 'multi_class'"),
        (("name: blinding\n", ""), "name: is missing"),
        (("name: blinding", "name: my task/1"), "name: "),
        (("name: blinding", "name: sex"), "a shipped task is named 'sex'"),
        (('labels: {Open: everybody knows, Blind: nobody knows, "None": ""}', "labels: [Yes, No]"), "quotes"),
        (('labels: {Open: everybody knows, Blind: nobody knows, "None": ""}', "labels: [Open]"), "labels: "),
        (("Blind: nobody knows", "open: twice"), "'Open' and 'open' are too similar"),
        (
            ("blind: Blind", "blind: Blnd"),
            r"synonyms.double blind: 'Blnd' is not a label; did you mean 'Blind'",
        ),
        (("32", "many"), "max_length: "),
        ((OWN, "- a"), "a task is a mapping of name, kind"),
        ((OWN, "a: ["), "not a readable YAML file"),
    ],
)
def test_a_wrong_declaration_is_explained(tmp_path, change, said):
    with pytest.raises(UsageError, match=said) as caught:
        load_task(declare(tmp_path, OWN.replace(*change)))
    assert "own.yaml" in str(caught.value)


def test_a_missing_declaration_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.yaml: no such file"):
        load_task(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("name", ["sex", "stop-reasons", "own"])
def test_a_classifier_folder_says_its_task(tmp_path, name):
    task = load_task(declare(tmp_path) if name == "own" else name)
    folder = tmp_path / "clf"
    folder.mkdir()
    task.save(folder)
    (tmp_path / "own.yaml").unlink(missing_ok=True)
    described = read_json(folder / "task.json")
    assert described["format"] == 1
    opened = task_from_description(described)
    row = {"brief_title": "Iron", "why_stopped": "slow", "eligibility_criteria": "Women"}
    assert opened.describe() == task.describe()
    assert opened.text_of(row) == task.text_of(row) != ""
    assert str(tmp_path) not in (folder / "task.json").read_text()
