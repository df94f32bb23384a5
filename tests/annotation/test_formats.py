"""Files as Label Studio 2.1.2's converter, Argilla 2.8.0 and doccano write them, and back."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from trialtune.annotation.formats.files import read_import
from trialtune.annotation.labels_file import read_labels_file
from trialtune.cli import app
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError

FILES = Path(__file__).with_name("files")
ONE, TWO = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
STUDIO = {
    ("no money", "u1@x.org"): ("money",),
    ("slow and, harm", "u1@x.org"): ("people", "safety"),
    ("slow and, harm", "u2@x.org"): ("people",),
    ("none holds", "u1@x.org"): (),
}
ARGILLA = {
    ("no money", ONE): ("money",),
    ("slow and, harm", ONE): ("people", "safety"),
    ("slow and, harm", TWO): ("people",),
    ("one", ONE): ("money",),
}


@pytest.mark.parametrize(
    ("name", "expected", "skipped", "left_out"),
    [
        ("label_studio.json", STUDIO, ["skipped"], {"not annotated": 1}),
        ("label_studio_min.json", STUDIO, [], {"not annotated": 1}),
        ("label_studio.csv", STUDIO, [], {"not annotated": 1}),
        ("label_studio_tab.csv", STUDIO, [], {"not annotated": 1}),
        ("argilla_flat.json", ARGILLA, ["discarded"], {"not annotated": 1, "draft": 1}),
        ("argilla.json", ARGILLA | {("draft", ONE): ("money",)}, ["discarded"], {"not annotated": 1}),
    ],
)
def test_files_of_other_programs(task, name, expected, skipped, left_out) -> None:
    _, answers, read = read_import(task, FILES / name, annotator=None, label_field=None)
    assert {(one.text, one.annotator): one.labels for one in answers if one.status == "labelled"} == expected
    assert [one.text for one in answers if one.status == "skipped"] == skipped
    assert {why: count for why, count in read.left_out.items() if count} == left_out
    assert all(one.nct_id.startswith("NCT0000000") for one in answers)
    assert bool(read.remarks) == (name == "argilla.json")


def test_doccano_does_not_tell_unread_from_none(task) -> None:
    program, answers, read = read_import(task, FILES / "ada.jsonl", annotator=None, label_field=None)
    assert program == "doccano" and [one.annotator for one in answers] == ["ada", "ada"]
    assert answers[0].note == "sure" and sum(read.left_out.values()) == 1


def run(*arguments: Any) -> Any:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def own(tmp_path, task):
    (tmp_path / "own.yaml").write_text(
        json.dumps({"name": "own", "kind": task.kind, "labels": dict(task.labels)})
    )
    return tmp_path / "own.yaml"


@pytest.mark.parametrize("program", ["label-studio", "argilla", "doccano", "csv"])
def test_out_and_in_again(own, task, tmp_path, program) -> None:
    out, again = tmp_path / "labels.csv", tmp_path / "again.csv"
    first = run("annotations", "import", FILES / "label_studio.json", "--task", own, "--out", out)
    assert (first["appended"], first["already_there"]) == (5, 0)
    assert (
        run("annotations", "import", FILES / "label_studio.json", "--task", own, "--out", out)["appended"]
        == 0
    )
    there = tmp_path / {"doccano": "all.jsonl", "csv": "all.csv"}.get(program, "all.json")
    told = run("annotations", "export", out, "--task", own, "--to", program, "--out", there)
    back = run("annotations", "import", there, "--task", own, "--out", again)
    before, after = read_labels_file(task, out), read_labels_file(task, again)
    if program in ("doccano", "csv"):  # the answers that count, by nobody's name
        assert told["left_out"] == 2 and told["passed_over"] == {"skipped": 1}
        assert [(one.text, one.labels) for one in after] == [("no money", ("money",))]
        assert sum(back["left_out"].values()) == 1
        return
    said = [
        {(one.key, one.annotator, one.status, one.labels) for one in answers} for answers in (before, after)
    ]
    assert said[0] == said[1]


def test_labels_files_are_put_together(own, task, tmp_path) -> None:
    run("annotations", "import", FILES / "ada.jsonl", "--task", own, "--out", tmp_path / "a.csv")
    run("annotations", "import", FILES / "label_studio.csv", "--task", own, "--out", tmp_path / "b.csv")
    run("annotations", "import", tmp_path / "b.csv", "--task", own, "--out", tmp_path / "a.csv")
    by_text = defaultdict(set)
    for answer in read_labels_file(task, tmp_path / "a.csv"):
        by_text[answer.text].add(answer.annotator)
    assert by_text["slow and, harm"] == {"ada", "u1@x.org", "u2@x.org"}
    found = run("agreement", own, tmp_path / "a.csv")
    assert found["texts"] == 2 and found["disagreements"] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            '[{"annotation_id": 1, "annotator": "a", "text": "t", "why": "x"}]',
            "which of text, why has the labels",
        ),
        (
            '[{"data": {"text": "t"}, "annotations": [{"result": [{"value": {"choices": ["monye"]}}]}]}]',
            "'monye' is no",
        ),
        ('[{"fields": {"text": "t"}, "responses": {"q": [], "r": []}}]', "which of q, r has the labels"),
        ('[{"some": "thing"}]', "unknown format"),
        ("[1]", "no rows with named fields"),
        ("{", "not valid JSON"),
    ],
)
def test_files_that_cannot_be_read(task, tmp_path, content, said) -> None:
    (tmp_path / "in.json").write_text(content)
    with pytest.raises(DataError, match=said):
        read_import(task, tmp_path / "in.json", annotator=None, label_field=None)


def test_json_with_labels_that_are_text_and_lists(task, tmp_path) -> None:
    rows = [
        {"text": "a", "labels": "money"},
        {"text": "b", "labels": ["money", "people"]},
        {"text": "c", "labels": None},
    ]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_table(tmp_path / "t.json").equals(read_table(tmp_path / "t.jsonl"))
    _, answers, _ = read_import(task, tmp_path / "t.json", annotator="Ada", label_field=None)
    assert [one.labels for one in answers] == [("money",), ("money", "people")]
