"""Files of every supported form give the same rows; broken ones say what to do."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trialtune.errors import DataError, UsageError
from trialtune.registry.readers.source import Row, read_rows


def study(number: int, **identification: Any) -> dict[str, Any]:
    fields = {"nctId": f"NCT{number:08d}", "briefTitle": f"Étude {number}", **identification}
    return {"protocolSection": {"identificationModule": fields}, "hasResults": False}


STUDIES = [study(n) for n in range(1, 4)]
LINES = "".join(json.dumps(s, ensure_ascii=False) + "\n" for s in STUDIES).encode()
CSV = ("nct_id,title\n" + "".join(f"NCT{n:08d},Étude {n}\n" for n in range(1, 4))).encode()


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return stream.getvalue()


def reasons(rows: list[Row]) -> list[str | None]:
    return [row.kind for row in rows]


Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write_file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES),
        ("a.ndjson", b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n\r\n")),
        ("a.jsonl.gz", gzip.compress(LINES)),
        ("a.json", json.dumps(STUDIES).encode()),
        ("a.json", LINES),
        (
            "a.json",
            json.dumps({"totalCount": 3, "studies": STUDIES, "nextPageToken": "x"}, indent=2).encode(),
        ),
        ("a.json.gz", gzip.compress(json.dumps({"studies": STUDIES}).encode())),
        ("a.zip", zipped(**{f"{n}__json": json.dumps(s).encode() for n, s in enumerate(STUDIES)})),
        (
            "a.zip",
            zipped(**{f"{n}__json": json.dumps(s).encode() for n, s in enumerate(STUDIES)}, b__jsonl=b""),
        ),
        ("a.zip", zipped(a__jsonl=LINES, b__txt=b"notes")),
        ("a.zip", zipped(a__csv__gz=gzip.compress(CSV))),
        ("a.csv", CSV),
        ("a.csv", b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n")),
        ("a.csv", CSV.replace(b",", b";")),
        ("a.tsv", CSV.replace(b",", b"\t")),
        ("a.csv.gz", gzip.compress(CSV)),
    ],
)
def test_every_form_gives_the_same_trials(write: Write, name: str, content: bytes) -> None:
    rows = list(read_rows(write(name, content)))
    assert reasons(rows) == [None] * 3
    found = [(row.record["nct_id"], row.record["brief_title"]) for row in rows if row.record]
    assert found == [(f"NCT{n:08d}", f"Étude {n}") for n in range(1, 4)]
    assert {row.record["source"] for row in rows if row.record} == {name}


def test_the_references_form(tmp_path: Path) -> None:
    frame = pd.DataFrame({"NCTId": ["NCT00000001"], "text": ["a, b\nc"]})
    frame.to_csv(tmp_path / "input.csv")
    (row,) = read_rows(tmp_path / "input.csv")
    assert row.record is not None
    assert (row.record["nct_id"], row.record["text"]) == ("NCT00000001", "a, b\nc")


def test_the_sites_csv_download(tmp_path: Path) -> None:
    cells = {
        "NCT Number": "NCT00000001",
        "Study Title": "Zinc, for colds",
        "Study URL": "https://clinicaltrials.gov/study/NCT00000001",
        "Acronym": "ZINC",
        "Study Status": "ACTIVE_NOT_RECRUITING",
        "Brief Summary": "Short.\nTwo lines.",
        "Study Results": "NO",
        "Conditions": "Cold|Flu, Human",
        "Interventions": "DIETARY_SUPPLEMENT: Zinc|DRUG: Placebo",
        "Primary Outcome Measures": "Days ill, by diary, 7 days|Fever, , 7 days",
        "Secondary Outcome Measures": "",
        "Sex": "FEMALE",
        "Age": "ADULT, OLDER_ADULT",
        "Phases": "PHASE2|PHASE3",
        "Study Type": "INTERVENTIONAL",
        "Start Date": "2024-05",
        "Last Update Posted": "2024-06-01",
    }
    with (tmp_path / "ctg-studies.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(cells))
        writer.writeheader()
        writer.writerow(cells)
    (row,) = read_rows(tmp_path / "ctg-studies.csv")
    assert row.record is not None
    assert {name: value for name, value in row.record.items() if value and name != "row_hash"} == {
        "nct_id": "NCT00000001",
        "brief_title": "Zinc, for colds",
        "brief_summary": "Short.\nTwo lines.",
        "conditions": ["Cold", "Flu, Human"],
        "interventions": ["Dietary Supplement: Zinc", "Drug: Placebo"],
        "primary_outcomes": ["Days ill, by diary, 7 days", "Fever, , 7 days"],
        "phases": ["PHASE2", "PHASE3"],
        "overall_status": "ACTIVE_NOT_RECRUITING",
        "study_type": "INTERVENTIONAL",
        "start_date": "2024-05",
        "last_update_date": "2024-06-01",
        "sex": "FEMALE",
        "source": "ctg-studies.csv",
    }


def test_an_unnamed_column_of_ids_is_found_by_what_it_holds(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["words", "more"]}, index=["NCT00000001", "NCT00000002"])
    frame.to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        rows = list(read_rows(tmp_path / name))
        assert [row.record["nct_id"] for row in rows if row.record] == ["NCT00000001", "NCT00000002"]


def test_parquet_with_lists_dates_and_bad_bytes(tmp_path: Path) -> None:
    text = pa.array([b"fine", b"caf\xe9"], pa.binary()).view(pa.string())
    table = pa.table(
        {
            "trial_id": ["NCT00000001", "NCT00000002"],
            "text": text,
            "conditions": [["Cold", "Flu"], None],
            "start_date": pa.array([0, None], pa.date32()),
            "unused": [{"a": 1}, None],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    good, bad = read_rows(tmp_path / "a.parquet")
    assert good.record is not None
    assert good.record["conditions"] == ["Cold", "Flu"]
    assert good.record["start_date"] == "1970-01-01"
    assert reasons([bad]) == ["undecodable text"]


def test_a_folder_is_all_its_files_in_order(write: Write, tmp_path: Path) -> None:
    write("in/b/2.json", json.dumps(study(2)).encode())
    write("in/a.jsonl", json.dumps(study(1)).encode())
    write("in/c.json", b'{"protocolSection": {')
    write("in/README.md", b"notes")
    write("in/.hidden.json", b"?")
    write("in/x.quarantine.jsonl", b"?")
    rows = list(read_rows(tmp_path / "in"))
    assert [row.file for row in rows] == ["a.jsonl", "b/2.json", "c.json"]
    assert reasons(rows) == [None, None, "broken JSON"]


def test_bad_lines_are_set_apart_and_the_rest_goes_on(write: Write) -> None:
    lines = [
        json.dumps(study(1)).encode(),
        b'{"protocolSection": ',
        b'{"protocolSection": {"identificationModule": {"nctId": "NCT00000002", "briefTitle": "caf\xe9"}}}',
        b"[1, 2]",
        b'{"protocolSection": null}',
        b"[" * 100_000,
        b"",
        b'{"nctId": "NCT00000007", "briefTitle": "half \\ud83d"}',
        json.dumps(study(8)).encode(),
    ]
    rows = list(read_rows(write("a.jsonl", b"\n".join(lines))))
    assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6, 8, 9]
    assert reasons(rows) == [
        *(None, "broken JSON", "undecodable bytes", "not a study", "no NCT id", "broken JSON"),
        *("undecodable text", None),
    ]
    assert "--encoding" in str(rows[2].reason)
    assert "0xe9" in str(rows[2].reason)


def test_bad_csv_rows_are_set_apart(write: Write) -> None:
    content = (
        b'nct_id,title,sex\nNCT00000001,fine,All\nNCT00000002,caf\xe9,\nNCT00000003,short\n\nNCT00000004,"a"b,Male\n'
        b"NCT00000005,odd,often\nNCT00000006,fine,Female\n"
    )
    rows = list(read_rows(write("a.csv", content)))
    assert reasons(rows) == [
        *(None, "undecodable bytes", "wrong number of cells", "broken CSV", "unknown sex", None),
    ]


def test_an_open_quote_swallows_no_row_in_silence(write: Write) -> None:
    path = write("a.csv", b'nct_id,title\nNCT00000001,fine\nNCT00000002,"open\nNCT00000003,found\n')
    rows = list(read_rows(path))
    assert reasons(rows) == [None, "broken CSV", None]
    assert rows[1].raw["text"] == 'NCT00000002,"open\n'


def test_a_field_of_100_megabytes_is_set_apart(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerows([("nct_id", "text"), ("NCT00000001", "x" * 100_000_000), ("NCT00000002", "fine")])
    big, fine = read_rows(tmp_path / "a.csv")
    assert fine.record is not None
    assert big.reason == "field too long: text has 100,000,000 characters (at most 1,000,000)"
    assert big.raw["nct_id"] == "NCT00000001"
    assert len(big.raw["text"]) < 2_100
    assert "100,000,000 characters" in big.raw["text"]


def test_long_json_values_cross_the_chunks_of_the_reader(write: Write) -> None:
    studies = [study(n, officialTitle="é" * (700_000 + n)) for n in range(1, 6)]
    rows = list(read_rows(write("a.json", json.dumps({"studies": studies}).encode())))
    assert [len(row.record["official_title"]) for row in rows if row.record] == [
        700_000 + n for n in range(1, 6)
    ]


def test_another_encoding_can_be_named(write: Write) -> None:
    for encoding in ("utf-16", "cp1252"):
        path = write("a.csv", CSV.decode().encode(encoding))
        titles = [row.record["brief_title"] for row in read_rows(path, encoding=encoding) if row.record]
        assert titles == ["Étude 1", "Étude 2", "Étude 3"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.csv.gz", "a.txt.gz", "a.jsonl", "a.json"])
def test_a_byte_order_mark_says_the_encoding(write: Write, name: str, encoding: str) -> None:
    text = LINES if ".json" in name else CSV.replace(b",", b"\t") if ".csv" not in name else CSV
    content = text.decode().encode(encoding)
    rows = read_rows(write(name, gzip.compress(content) if name.endswith(".gz") else content))
    assert [row.record["brief_title"] for row in rows if row.record] == ["Étude 1", "Étude 2", "Étude 3"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"nct_id\nNCT00000001\n", "has NCT ids only"),
        ("a.csv", b"NCT00000001\nNCT00000002\n", "registry sync --out FOLDER --ids a.csv"),
        ("a.txt", b"NCT00000001\n", "registry diff SNAPSHOT --base a.txt"),
        ("a.tsv", b"nct_id\tlabel\nNCT00000001\tx\n", "no column of trial data (there is 'label')"),
        ("a.csv", CSV.decode().encode("utf-16-le"), "--encoding utf-16-le"),
        ("a.csv", b"title,text\nx,y\n", "'title', 'text'; name one nct_id"),
        ("a.csv", b"", "empty"),
        ("a.json", b"", "empty"),
        ("a.json", b"hello", "broken JSON"),
        ("a.json", json.dumps(STUDIES).encode()[:-60], "after study 2"),
        ("a.json", b'{"studies": [' + LINES.splitlines()[0] + b" oops", "after study 1"),
        ("a.json", b'{"protocolSection": {"a": ', "broken JSON"),
        ("a.jsonl.gz", gzip.compress(LINES * 999)[:-20], "truncated after a.jsonl.gz row"),
        ("a.jsonl.gz", LINES, "broken or truncated"),
        ("a.zip", zipped(a__jsonl=LINES)[:-30], "download the file again"),
        ("a.zip", zipped(a__txt=LINES), "it holds a.txt"),
        ("a.parquet", b"PAR1 not really", "not a readable Parquet file"),
    ],
)
def test_files_that_cannot_be_read_say_how_to_mend_them(
    write: Write, name: str, content: bytes, words: str
) -> None:
    with pytest.raises(DataError) as caught:
        list(read_rows(write(name, content)))
    assert name in str(caught.value)
    assert words in str(caught.value)


def test_parquet_without_ids(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="'text'; name one nct_id"):
        list(read_rows(tmp_path / "a.parquet"))


def test_parquet_of_ids_only(tmp_path: Path) -> None:
    pq.write_table(pa.table({"nct_id": ["NCT00000001"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: has NCT ids only.*--ids"):
        list(read_rows(tmp_path / "a.parquet"))


def test_json_of_ids_only(write: Write) -> None:
    [row] = read_rows(write("a.json", b'["NCT00000001"]'))
    assert row.reason == "not a study: an NCT id alone; registry sync --ids takes lists of ids"


def test_wrong_named_encoding(write: Write) -> None:
    with pytest.raises(DataError, match="--encoding"):
        list(read_rows(write("a.csv", CSV), encoding="utf-16"))
    with pytest.raises(UsageError, match="no such encoding"):
        list(read_rows(write("a.csv", CSV), encoding="utf-nine"))


def test_paths_that_are_no_source(write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "none.json", write("a.docx", b"x"), tmp_path / "empty"):
        with pytest.raises(UsageError, match=path.name):
            list(read_rows(path))


def test_real_trials_read_without_a_bad_row(shared_data: Path) -> None:
    for name, count in (("registry_v2_studies.jsonl.gz", 1327), ("trials.parquet", 18549)):
        rows = list(read_rows(shared_data / name))
        assert len(rows) == count
        assert not [row for row in rows if row.reason]


@pytest.mark.parametrize("depth", [900, 1_020, 100_000])
def test_deep_nesting_is_refused(write: Write, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    path = write(
        "a.jsonl", b'{"protocolSection": {"a": ' + nested + b"}}\n" + b'{"b": ' + nested + b"}\n" + LINES
    )
    rows = list(read_rows(path))
    assert [row.kind for row in rows[2:]] == [None] * 3
    assert all(row.kind in ("no NCT id", "broken JSON") for row in rows[:2])
