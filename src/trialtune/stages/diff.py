"""Compares two states of the registry, as tables and as a page."""

from pathlib import Path

from trialtune.registry.diff import DiffSummary, diff_snapshots
from trialtune.reports.diff import write_diff_page


def diff(new: Path | str, base: Path | str, out: Path | str) -> DiffSummary:
    """Find the trials that are new, changed or removed compared with a base.

    Writes `out/new.parquet`, `changed.parquet`, `removed.parquet`, `summary.json` and `summary.html`.

    Args:
        new: The newer snapshot, or the folder of a sync.
        base: The older one; or a list of NCT ids (.txt, .csv, .jsonl, .parquet), or a data set on the Hub.
        out: The folder to write.

    Returns:
        The counts, in total and by start year, phase and status.

    Raises:
        DataError: A file is not a snapshot, or has an id twice.

    Examples:
        >>> from trialtune import diff
        >>> summary = diff(snapshot, snapshot, out)
        >>> summary.new, summary.changed, summary.removed
        (0, 0, 0)
    """
    summary = diff_snapshots(Path(new), Path(base), Path(out))
    write_diff_page(summary.as_dict(), Path(out) / "summary.html")
    return summary
