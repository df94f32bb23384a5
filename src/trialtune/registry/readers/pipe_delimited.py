"""Reads AACT's tables as streams of Arrow batches, and collects the lines that are not rows."""

import csv
import io
from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from trialtune.errors import DataError
from trialtune.registry.readers.text import LONGEST_LINE

KEY = "nct_id"
# A longer row than this is an unclosed quote: no field of a usable record is that long.
_BLOCK_BYTES = 1 << 24
_SHOWN = 3_000


class TableReader:
    """One table as PostgreSQL's COPY writes it: a header, cells between delimiters, quotes where needed.

    Cells are bytes, because they may not be UTF-8. Raises DataError when the header lacks nct_id.
    """

    def __init__(self, handle: IO[bytes], label: str, columns: tuple[str, ...], delimiter: str = "|") -> None:
        self.label = label
        self._delimiter = delimiter
        #: Number, reason and text of each line that is not a row; complete when the batches are.
        self.refused: list[tuple[int, str, str]] = []
        #: The error that ended the batches, which a consumer of Arrow streams would reword.
        self.error: Exception | None = None
        #: The names of the file's columns, and of those used.
        self.header = header = _header(handle, label, delimiter)
        self.names = [name for name in (KEY, *columns) if name in header]
        self._rows = self._read(_QuoteCounter(handle), header)
        self._first = next(self._rows, None)

    @property
    def batches(self) -> pa.RecordBatchReader:
        """The rows, with their numbers below the header in the column `row`; to be consumed once.

        Raises DataError where rows can no longer be separated.
        """
        fields = [*(pa.field(name, pa.binary()) for name in self.names), pa.field("row", pa.int64())]
        return pa.RecordBatchReader.from_batches(pa.schema(fields), self._numbered(pa.schema(fields)))

    def _read(self, handle: "_QuoteCounter", header: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            reader = pcsv.open_csv(
                pa.PythonFile(handle, "r"),
                # One thread, so that rejected rows have their numbers.
                read_options=pcsv.ReadOptions(
                    column_names=header, block_size=_BLOCK_BYTES, use_threads=False
                ),
                parse_options=pcsv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=self._refuse
                ),
                convert_options=pcsv.ConvertOptions(
                    column_types=dict.fromkeys(self.names, pa.binary()),
                    include_columns=self.names,
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
            yield from reader
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise self._broken(error) from error
        if handle.odd:
            raise DataError(
                f"{self.label}: the quotes are unbalanced, so an unclosed one may hide rows; the file is"
                " truncated or damaged: download it again"
            )

    def _numbered(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        number = 1
        while self._first is not None:
            batch = self._first
            # Rejected lines are counted, so that row numbers are those of the file.
            refused = np.array([line[0] for line in self.refused], dtype=np.int64)
            numbers = np.arange(number, number + batch.num_rows + len(refused))
            numbers = numbers[~np.isin(numbers, refused)][: batch.num_rows]
            number = int(numbers[-1]) + 1 if len(numbers) else number
            yield pa.RecordBatch.from_arrays([*batch.columns, pa.array(numbers, pa.int64())], schema=schema)
            try:
                self._first = next(self._rows, None)
            except Exception as error:
                self.error = error
                raise

    def _refuse(self, row: pcsv.InvalidRow) -> str:
        reason = f"wrong number of cells: {row.actual_columns}, but the header has {row.expected_columns}"
        self.refused.append((row.number, reason, row.text[:_SHOWN]))
        return "skip"

    def _broken(self, error: Exception) -> DataError:
        if "straddling" in str(error):
            problem = f"a row of over {_BLOCK_BYTES:,} bytes, so a quote before it is unclosed; close it"
        else:
            problem = f"a row has neither as many cells as the header nor valid UTF-8 ({error}); remove it"
        return DataError(f"{self.label}: {problem}, or download the file again")


class ParquetTable:
    """One table saved as Parquet; cells become bytes, as in `TableReader`.

    Raises DataError when the file is not Parquet or lacks nct_id.
    """

    def __init__(self, handle: IO[bytes], label: str, columns: tuple[str, ...]) -> None:
        self.label = label
        self.refused: list[tuple[int, str, str]] = []
        self.error: Exception | None = None
        try:
            # A zip's member is read whole: Parquet's metadata is at its end.
            self._file = pq.ParquetFile(
                handle if isinstance(handle, io.BufferedReader) else io.BytesIO(handle.read())
            )
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{label}: not a readable Parquet file ({error}); write it again") from error
        self._own = {name.strip().lower(): name for name in self._file.schema_arrow.names}
        self.header = list(self._own)
        if KEY not in self._own:
            raise DataError(f"{label}: no column {KEY} among {', '.join(self.header[:20])}")
        self.names = [name for name in (KEY, *columns) if name in self._own]

    @property
    def batches(self) -> pa.RecordBatchReader:
        """The rows, with their numbers in the column `row`; to be consumed once."""
        fields = [*(pa.field(name, pa.binary()) for name in self.names), pa.field("row", pa.int64())]
        schema = pa.schema(fields)
        return pa.RecordBatchReader.from_batches(schema, self._numbered(schema))

    def _numbered(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        number = 1
        try:
            for batch in self._file.iter_batches(columns=[self._own[name] for name in self.names]):
                cells = [_as_bytes(batch.column(self._own[name])) for name in self.names]
                numbers = pa.array(range(number, number + batch.num_rows), pa.int64())
                yield pa.RecordBatch.from_arrays([*cells, numbers], schema=schema)
                number += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            self.error = DataError(f"{self.label}: cannot be read ({error}); write it again")
            raise


def _as_bytes(column: pa.Array) -> pa.Array:
    """A column of any type as text in bytes, empty for null."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        column = pc.strftime(column, format="%Y-%m-%d")
    return pc.fill_null(column.cast(pa.string()).cast(pa.binary()), b"")


class _QuoteCounter(io.RawIOBase):
    """A stream that counts quotes: after an odd number, one is unclosed."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle
        self.odd = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        content = self._handle.read(size)
        self.odd ^= content.count(b'"') % 2 == 1
        return content


def _header(handle: IO[bytes], label: str, delimiter: str) -> list[str]:
    """The names of the columns; raises DataError when there is no NCT id column."""
    line = handle.readline(LONGEST_LINE).decode("utf-8-sig", "replace").rstrip("\r\n")
    if not line:
        raise DataError(f"{label}: the file is empty; AACT's tables begin with a line of column names")
    names = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter))]
    if KEY not in names:
        hint = f"; does it use a delimiter other than {delimiter!r}?" if len(names) == 1 else ""
        raise DataError(
            f"{label}: no column {KEY} in the header {line[:200]!r}{hint}"
            f" AACT's tables in such files are delimited by {delimiter!r}: download or convert the file"
        )
    if len(set(names)) < len(names):
        raise DataError(f"{label}: two columns have the same name in the header {line[:200]!r}; remove one")
    return names
