"""Tables as programs and spreadsheets write them."""

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


def test_one_column_has_no_separator(tmp_path) -> None:
    (tmp_path / "ids.csv").write_text("nct_id\nNCT00000001\n")
    assert read_table(tmp_path / "ids.csv").to_dicts() == [{"nct_id": "NCT00000001"}]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", "nct_id;é\n".encode("latin-1") + b"NCT00000001;\xe9\n", "complete and UTF-8"),
        ("rows.csv", b"", "cannot be read"),
        ("rows.xlsx", b"PK", "unknown table format; give .parquet, .csv"),
        ("rows.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, content, said) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: .*{said}"):
        read_table(tmp_path / name)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"{name}: (no such file|unknown table format)"):
        read_table(tmp_path / name)
