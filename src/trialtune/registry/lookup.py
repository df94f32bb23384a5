"""One trial of a snapshot, by its NCT id."""

from pathlib import Path
from typing import Any

import polars as pl

from trialtune.errors import DataError, UsageError
from trialtune.registry.record.validate import is_nct_id, nct_id_of
from trialtune.registry.snapshot.read import removed_trials, scan_snapshot


def find_trial(snapshot: Path, nct_id: str) -> dict[str, Any]:
    """The row of a trial, every column of the snapshot in its order.

    Raises UsageError for what is not an NCT id, and DataError when the trial is missing: it says
    whether the trial was merged or removed, where a sync recorded it, or else the closest ids.
    """
    if not is_nct_id(nct_id):
        raise UsageError(f"{nct_id!r}: not an NCT id; an id is NCT and eight digits, such as NCT01234567")
    wanted = nct_id_of(nct_id)
    frame = scan_snapshot(snapshot)
    found = frame.filter(pl.col("nct_id") == wanted).head(1).collect()
    if found.height:
        return found.row(0, named=True)
    removed = removed_trials(snapshot)
    if wanted in removed:
        into = removed[wanted]
        gone = f"it was merged into {into}; show that one" if into else "it was removed from the registry"
        raise DataError(f"{snapshot}: {wanted} is missing: {gone}")
    ids = frame.select("nct_id")
    below = ids.filter(pl.col("nct_id") < wanted).max().collect().item()
    above = ids.filter(pl.col("nct_id") > wanted).min().collect().item()
    nearest = " and ".join(near for near in (below, above) if near) or "none: the snapshot is empty"
    raise DataError(f"{snapshot}: no trial {wanted}; the closest ids are {nearest}")
