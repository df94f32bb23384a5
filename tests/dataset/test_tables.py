"""Tables as programs and spreadsheets write them."""

import gzip

import polars as pl
import pytest

from trialtune.dataset.tables import read_table
from trialtune.errors import DataError

ROWS = pl.DataFrame({"nct_id": ["NCT00000001", "NCT00000002"], "text": ["a; b", "c, d\te"], "n": ["0,5", ""]})


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_by_whatever_divides_its_header(tmp_path, separator, start, end) -> None:
    written = ROWS.write_csv(separator=separator, line_terminator=end)
    (tmp_path / "rows.csv").write_bytes(start + written.encode())
    assert read_table(tmp_path / "rows.csv").equals(ROWS)


@pytest.mark.parametrize(
    "name", ["rows.tsv", "rows.txt", "ROWS.TSV", "rows.tsv.gz", "rows.csv.gz", "rows.jsonl.gz"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_by_the_name_packed_and_as_unicode_text(tmp_path, name, encoding) -> None:
    written = ROWS.write_ndjson() if "jsonl" in name else ROWS.write_csv(separator="\t")
    content = written.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read_table(tmp_path / name).equals(ROWS)


def test_one_column_has_no_separator(tmp_path) -> None:
    (tmp_path / "ids.csv").write_text("nct_id\nNCT00000001\n")
    assert read_table(tmp_path / "ids.csv").to_dicts() == [{"nct_id": "NCT00000001"}]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "rows.csv",
            "nct_id;é\n".encode("latin-1") + b"NCT00000001;\xe9\n",
            "line 1: byte 0xe9 is not UTF-8; save.*iconv",
        ),
        ("rows.jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n', "line 2: byte 0xe9 is not UTF-8"),
        ("rows.json", b'[{"text": "a"},\n{"text": "\xe9"}]', "line 2: byte 0xe9 is not UTF-8"),
        ("rows.csv", b"", "cannot be read"),
        ("rows.csv.gz", gzip.compress(b"text\na\n")[:-4], "cannot be read.*complete"),
        ("rows.csv.gz", b"text\na\n", "cannot be read.*complete"),
        ("rows.parquet.gz", b"PAR1", "unknown table format"),
        ("rows.xlsx", b"PK", "unknown table format; give .csv, .tsv"),
        ("rows.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, content, said) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}[:,] .*{said}"):
        read_table(tmp_path / name)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"{name}: (no such file|unknown table format)"):
        read_table(tmp_path / name)
