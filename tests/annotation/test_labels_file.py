"""The file of answers: appended to, torn, edited by hand, held by one process."""

import signal
import subprocess
import sys

import pandas as pd
import polars as pl
import pytest

from trialtune.annotation.labels_file import LabelsFile, NotSavedError, read_labels_file
from trialtune.dataset.answers import ANSWER_COLUMNS, DISAGREE, Answer, settle
from trialtune.dataset.examples import load_examples
from trialtune.errors import DataError, UsageError

HEADER = ",".join(ANSWER_COLUMNS)


def say(number: int, *labels: str, name: str = "Ada", text: str = "", **more) -> Answer:
    time = f"2026-01-01T00:00:{number:02}Z"
    return Answer(f"NCT0000000{number}", text or f"text {number}", labels, name, answered_at=time, **more)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "labels.csv"


@pytest.fixture
def written(out, task):
    """A file with three answers, closed."""
    file = LabelsFile(out, task)
    file.append([say(1, "money")])
    file.append([say(2, "money", "people", text='said "slow",\nand so'), say(3, status="unsure", note="why")])
    file.close()
    return out


def test_it_opens_in_other_programs(written, task) -> None:
    for table in (pl.read_csv(written), pl.from_pandas(pd.read_csv(written))):
        assert table["labels"].to_list() == ["money", "money|people", None]
        assert table["text"][1] == 'said "slow",\nand so'
    assert [answer.labels for answer in read_labels_file(task, written)] == [
        ("money",),
        ("money", "people"),
        (),
    ]


@pytest.mark.parametrize(
    "torn", [b'NCT9,"half a te', b"NCT9,half", b"NCT00000009", b"\0\0\0", 'NCT9,"a\nb é'.encode()[:-1]]
)
def test_a_torn_last_row_is_put_aside(written, task, torn) -> None:
    with written.open("ab") as handle:
        handle.write(torn)
    told: list[str] = []
    file = LabelsFile(written, task, tell=told.append)
    assert len(file.answers) == 3 and "torn" in told[0]
    file.append([say(4, "safety")])
    file.close()
    assert written.with_name("labels.torn.txt").read_bytes() == torn + b"\n"
    assert [answer.row for answer in read_labels_file(task, written)] == [1, 2, 3, 4]


def test_a_whole_last_row_without_its_line_break_is_kept(written, task) -> None:
    written.write_bytes(written.read_bytes()[:-1])
    file = LabelsFile(written, task)
    file.append([say(4, "safety")])
    file.close()
    assert len(read_labels_file(task, written)) == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Ada,labelled", "Ada,labeled", "row 1: status 'labeled' is not valid; did you mean 'labelled'"),
        (
            "text 1,money",
            "text 1,monye",
            "row 1, labels: 'monye' is not a label of own; did you mean 'money'",
        ),
        ("text 1,money", 'text "1,money', "row 1"),
        ("text 1,money,Ada", "text 1,money", "row 1: has 9 cells, the header 10"),
        (",status", ",state", "has no column status"),
        (",note,", ",status,", "two columns are named 'status'"),
        ("2026-01-01T00:00:01Z", "Friday", "row 1: answered_at 'Friday' is not a time"),
        (",Ada,", ",,", "row 1: annotator is empty"),
        ("NCT00000001,", f"{HEADER}\nNCT00000001,", "row 1: status 'status'"),
        (",", ";", "not separated by commas"),
    ],
)
def test_edited_by_hand_half_way(written, task, old, new, said) -> None:
    count = -1 if old == "," else 1
    written.write_text(written.read_text().replace(old, new, count))
    before = written.read_bytes()
    with pytest.raises(DataError, match=said.replace("(", r"\(")):
        LabelsFile(written, task)
    assert written.read_bytes() == before
    assert not written.with_name("labels.torn.txt").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"nct_id,text\nNCT00000001,slow",
        b"a note",
        b"\n\n",
        b"PAR1\xff\xfe\x00",
        b"text,labels,annotator\na,b,c",
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(out, task, content) -> None:
    out.write_bytes(content)
    with pytest.raises(DataError, match=r"exists and is not a file of answers.*choose another --out"):
        LabelsFile(out, task)
    assert out.read_bytes() == content and {file.suffix for file in out.parent.iterdir()} <= {".csv", ".lock"}


def test_sorted_anew_the_last_answer_still_counts(out, task) -> None:
    file = LabelsFile(out, task)
    first, second = say(1, "money"), say(1, "people")
    file.append([first, Answer(**{**vars(second), "answered_at": "2026-01-02T00:00:00Z"})])
    file.close()
    header, *rows = out.read_text().splitlines()
    out.write_bytes(("\ufeff" + "\r\n".join([header, *rows[::-1]]) + "\r\n").encode())
    [answer] = settle(read_labels_file(task, out)).chosen
    assert answer.labels == ("people",)
    LabelsFile(out, task).close()


def test_one_process_at_a_time(written, task) -> None:
    file = LabelsFile(written, task)
    code = "import sys; from pathlib import Path; from trialtune.annotation.labels_file import LabelsFile;"
    code += "from trialtune import load_task; LabelsFile(Path(sys.argv[1]), load_task('sex'))"
    other = subprocess.run([sys.executable, "-c", code, written], capture_output=True, text=True, check=False)
    assert "UsageError" in other.stderr and "in use by another process" in other.stderr
    file.close()
    with pytest.raises(UsageError, match=r"written as \.csv"):
        LabelsFile(written.with_suffix(".txt"), task)


def test_another_program_changes_the_file_meanwhile(written, task) -> None:
    file = LabelsFile(written, task)
    with written.open("a") as handle:
        handle.write("\n")
    with pytest.raises(NotSavedError, match="another program has changed the file"):
        file.append([say(4, "safety")])
    file.close()
    file = LabelsFile(written, task)
    written.rename(written.with_name("moved.csv"))
    with pytest.raises(NotSavedError, match="another program"):
        file.append([say(4, "safety")])
    file.close()


def test_a_full_disk_leaves_no_half_row(written, task) -> None:
    resource = pytest.importorskip("resource", reason="Windows sets no limits")
    file, before = LabelsFile(written, task), written.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
        with pytest.raises(NotSavedError, match="free some space"):
            file.append([say(4, "safety")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert written.read_bytes() == before and len(file.answers) == 3
    file.append([say(4, "safety")])
    file.close()
    assert len(read_labels_file(task, written)) == 4


def test_training_takes_the_answers_that_count(out, task) -> None:
    file = LabelsFile(out, task)
    file.append([say(1, "money"), say(1, "people")])  # answered again
    file.append([say(2, status="unsure"), say(3, status="skipped"), say(4)])
    file.append([say(5, "money"), say(5, "money", name="Grace")])
    file.append([say(6, "money"), say(6, "people", name="Grace")])
    file.append(
        [say(7, "money"), say(7, "people", name="Grace"), say(7, "safety", name="Hedy", status="adjudicated")]
    )
    file.append([say(8, "money"), say(8, "money", name="Grace"), say(8, "people", name="Hedy")])
    edited = say(9, "money")
    file.append([edited])
    file.close()
    out.write_text(out.read_text().replace("text 9", "another text"))
    found = load_examples(task, pl.read_csv(out, infer_schema=False), where="labels.csv")
    assert dict(
        zip(found.frame["nct_id"].str.slice(-1), found.frame["labels"].list.join("|"), strict=True)
    ) == {
        "1": "people",
        "5": "money",
        "7": "safety",
        "8": "money",
    }
    assert found.unlabelled == {
        "answered again later": 1,
        "unsure": 1,
        "skipped": 1,
        "no label": 1,
        "another annotator gave the same labels": 2,
        "settled by adjudication": 2,
        "most annotators gave other labels": 1,
    }
    assert found.dropped == {DISAGREE: 2, "text has changed since it was labelled": 1}
    assert [row["row"] for row in found.quarantined if row["reason"] == DISAGREE] == [8, 9]
    kept = found.frame.height + sum(found.unlabelled.values()) + sum(found.dropped.values())
    assert found.read == kept == 16
    with pytest.raises(DataError, match="has no column status"):
        load_examples(task, pl.read_csv(out).drop("status"), where="labels.csv")
