"""Parquet files of any size, read in bounded memory."""

from pathlib import Path

import pyarrow.parquet as pq

_READ_BYTES = 1 << 20


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file, read batch by batch, without caching it or holding a whole row group."""
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES)
