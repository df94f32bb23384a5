"""Selects rows of a snapshot by position, in bounded memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trialtune.files import atomic_file
from trialtune.registry.readers.parquet import open_parquet
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.snapshot.read import snapshot_origin
from trialtune.registry.snapshot.write import SnapshotWriter

_BATCH_ROWS = 5_000


def picked_rows(path: Path, mask: npt.NDArray[np.bool_]) -> Iterator[tuple[pa.Table, npt.NDArray[np.intp]]]:
    """The snapshot's rows where `mask` (one entry per row) is true, as tables with their positions.

    Row groups without such a row are not read.
    """
    with open_parquet(path) as file:
        end = 0
        for group in range(file.num_row_groups):
            start, end = end, end + file.metadata.row_group(group).num_rows
            if not mask[start:end].any():
                continue
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=SNAPSHOT_SCHEMA.names):
                wanted = mask[start : start + batch.num_rows]
                if wanted.any():
                    rows = pa.Table.from_batches([batch]).select(SNAPSHOT_SCHEMA.names)
                    yield rows.filter(pa.array(wanted)), start + np.flatnonzero(wanted)
                start += batch.num_rows


def copy_rows(path: Path, out: Path, mask: npt.NDArray[np.bool_]) -> None:
    """Write the snapshot's rows where `mask` is true, in order, to another snapshot."""
    with picked_writer(out, snapshot_origin(path)) as writer:
        for rows, _ in picked_rows(path, mask):
            writer.add(rows)


@contextmanager
def picked_writer(path: Path, origin: Mapping[str, str], *more: pa.Field) -> Iterator[SnapshotWriter]:
    """A `SnapshotWriter` whose file is moved into place when the block succeeds."""
    with atomic_file(path) as temporary, SnapshotWriter(temporary, origin, *more) as writer:
        yield writer
