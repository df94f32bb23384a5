"""Keeps a snapshot of the registry current: fetched page by page, resumable at any time.

A sync is a round of phases. `studies` walks through ranges of update days; `sweep` checks every id and
its date; `repair` fetches by id what the sweep found to differ; `merge` writes the new snapshot next to the
old one and `publish` replaces that. The first round sweeps only when the registry changed meanwhile
or its total does not match; a later round fetches the updates since the last one, and always sweeps, because
only a sweep finds removed and merged trials.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout

from trialtune.errors import DataError, UsageError
from trialtune.files import writing
from trialtune.registry.record.quarantine import Quarantine
from trialtune.registry.settings import MergeSettings, SyncRequest, SyncSettings
from trialtune.registry.sync.client import RegistryClient
from trialtune.registry.sync.merge import (
    Merge,
    known,
    read_sweep,
    write_removed,
    write_snapshot,
)
from trialtune.registry.sync.pages import Walker, id_walks, range_walks
from trialtune.registry.sync.state import Phase, Round, SyncFolder

_OVERLAP = timedelta(days=1)  # update dates are days: includes what was posted later on the last day
_RANGE_PAGES, _SWEEP_PAGES = 25, 100
_QUARANTINE = "snapshot.quarantine.jsonl"
# Losing this much at once is an outage, not a cleanup.
_MOST_GONE, _FEW = 0.2, 100


@dataclass(frozen=True)
class SyncSummary:
    """The result of a round, over all runs: read = kept + quarantined, kept = new + changed + unchanged.

    `unknown_ids` are requested ids that the registry never had; `unread` has, by field, how many values
    could not be read, and the most frequent of them.
    """

    out: Path
    data_timestamp: str
    total: int
    read: int
    kept: int
    new: int
    changed: int
    unchanged: int
    removed: int
    merged: int
    unknown: int
    quarantined: int
    reasons: dict[str, int]
    unread: dict[str, dict[str, Any]]
    unknown_ids: tuple[str, ...]
    requests: int
    retries: int

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON-able values."""
        return {**vars(self), "out": str(self.out)}


@dataclass(frozen=True)
class SyncPreview:
    """What a sync would fetch: `to_fetch` of `total` studies, in about `requests` requests and `seconds`."""

    out: Path
    data_timestamp: str
    total: int
    to_fetch: int
    requests: int
    seconds: int

    def as_dict(self) -> dict[str, Any]:
        """The preview as JSON-able values."""
        return {**vars(self), "out": str(self.out)}


def sync(
    out: Path | str,
    request: SyncRequest | None = None,
    settings: SyncSettings | None = None,
    *,
    progress: Callable[[int], None] = lambda count: None,
) -> SyncSummary:
    """Bring the sync folder `out` up to date; an interrupted round is resumed.

    Writes out/snapshot.parquet (sorted by nct_id, with `first_seen` and `last_changed`), removed.parquet
    (nct_id, merged_into, removed_on) and snapshot.quarantine.jsonl.

    Args:
        out: The folder.
        request: Which trials; all of them when not given.
        settings: Rate limits and retries.
        progress: Called with numbers of studies read.

    Returns:
        The numbers of new, changed, removed and all trials.

    Raises:
        UsageError: `out` holds another request's sync, or is in use.
        DataError: The registry does not respond, contradicts itself, or has lost a fifth of its trials.

    Examples:
        >>> from trialtune import sync
        >>> summary = sync(out, request)
        >>> summary.total == summary.new > 0
        True
    """
    out, request, settings = Path(out), request or SyncRequest(), settings or SyncSettings()
    settings = settings or SyncSettings()
    with writing(out / "manifest.json"), _locked(out, request) as folder:
        folder.tidy()
        with RegistryClient(request.base_url, settings) as client:
            walker = Walker(client, folder, request, settings.page_size, progress)
            if folder.round is None or folder.round.phase == "complete":
                folder.begin(_new_round(walker))
            else:
                client.requests, client.retries = folder.round.requests, folder.round.retries
            _Rounds(walker, settings.merge).run()
        folder.tidy()
        return _summary(folder)


def preview(out: Path, request: SyncRequest, settings: SyncSettings | None = None) -> SyncPreview:
    """A preview of `sync`, from a few requests; writes nothing."""
    settings = settings or SyncSettings()
    folder = SyncFolder.open(out, request)
    with RegistryClient(request.base_url, settings) as client:
        walker = Walker(client, folder, request, settings.page_size, lambda count: None)
        timestamp = client.version()
        if request.ids is not None:
            total = fresh = len(request.ids)
        else:
            total = _count(walker, request.since)
            fresh = _count(walker, _changed_since(folder, request))
    again = folder.snapshot.exists()
    pages = -(-fresh // settings.page_size) + (-(-total // settings.page_size) if again else 0)
    seconds = round(pages / settings.rate) if settings.rate else 0
    return SyncPreview(out, timestamp, total, fresh, pages, seconds)


@contextmanager
def _locked(out: Path, request: SyncRequest) -> Iterator[SyncFolder]:
    SyncFolder.open(out, request)  # raises before anything is written
    out.mkdir(parents=True, exist_ok=True)
    try:
        # The lock is released with its process, however that ends.
        with FileLock(out / ".lock", timeout=0):
            yield SyncFolder.open(out, request)
    except Timeout as error:
        raise UsageError(f"--out {out}: another sync is writing here; wait until it has finished") from error


def _new_round(walker: Walker) -> Round:
    request, last = walker.request, walker.folder.round
    timestamp = walker.client.version()
    new = Round(number=last.number + 1 if last else 1, data_timestamp=timestamp, phase="studies", walks=[])
    if request.ids is None:
        since = _changed_since(walker.folder, request)
        new.add(range_walks(walker, "studies", since, pages=_RANGE_PAGES))
        if last is None and not new.walks:
            raise DataError(f"{request.base_url}: has no studies for this request; check --query and --since")
    return new


def _changed_since(folder: SyncFolder, request: SyncRequest) -> str | None:
    if folder.round is None or not folder.snapshot.exists():
        return request.since
    day = (date.fromisoformat(folder.round.day) - _OVERLAP).isoformat()
    return max(day, request.since or day)


def _count(walker: Walker, since: str | None) -> int:
    asked = {"query.term": walker.request.query} if walker.request.query else {}
    if since:
        asked["filter.advanced"] = f"AREA[LastUpdatePostDate]RANGE[{since},MAX]"
    return walker.client.count(asked)


class _Rounds:
    """The phases of the current round, each of which sets the next."""

    def __init__(self, walker: Walker, settings: MergeSettings) -> None:
        self.walker, self.folder, self.request = walker, walker.folder, walker.request
        self.settings = settings
        assert walker.folder.round is not None
        self.round = walker.folder.round
        self.base = self.folder.snapshot if self.folder.snapshot.exists() else None

    def run(self) -> None:
        """Run the phases; each is saved before the next begins."""
        phases = {
            "studies": self._studies,
            "sweep": self._sweep,
            "repair": self._repair,
            "merge": self._merge,
            "publish": self._publish,
        }
        for walk in self.round.walks:
            walk.restarts = 0
        try:
            while self.round.phase != "complete":
                self.round.phase = phases[self.round.phase]()
                self.walker.save()
        except DataError:
            self.walker.save()
            raise

    def _studies(self) -> Phase:
        self.walker.walk_all("studies")
        received = sum(walk.received for walk in self.round.walks)
        if self.request.ids is not None:
            self.round.add(id_walks("sweep", list(self.request.ids)))
        elif (
            self.base is None
            and received == _count(self.walker, self.request.since)
            and self.walker.client.version() == self.round.data_timestamp
        ):
            return "merge"
        else:
            self.round.add(range_walks(self.walker, "sweep", self.request.since, pages=_SWEEP_PAGES))
        return "sweep"

    def _sweep(self) -> Phase:
        self.walker.walk_all("sweep")
        self._refuse_outage()
        held = known(self.folder.landed("studies"), self.base).rename({"last_update_date": "held"})
        seen = read_sweep(self.folder.landed("sweep")).join(held, on="nct_id", how="left", coalesce=False)
        missing = pl.col("nct_id_right").is_null() | pl.col("held").ne_missing(pl.col("last_update_date"))
        self.round.add(id_walks("studies", seen.filter(missing)["nct_id"].sort().to_list()))
        return "repair"

    def _refuse_outage(self) -> None:
        held, gone = len(known([], self.base)), len(self._absent()[0])
        if held >= _FEW and gone > _MOST_GONE * held:
            self.round.walks = [walk for walk in self.round.walks if walk.kind != "sweep"]
            self.round.phase = "studies"
            raise DataError(
                f"{self.request.base_url}: {gone:,} of the {held:,} trials held here are no longer listed,"
                " which looks like an outage; nothing was removed. Run the same command again later,"
                " or sync into a new folder if they were really removed"
            )

    def _repair(self) -> Phase:
        self.walker.walk_all("studies")
        return "merge"

    def _absent(self) -> tuple[frozenset[str], frozenset[str]]:
        """Ids that the sweep did not see: newly removed ones, and unknown ones.

        Removed are ids held before, or requested and now another trial's; other requested ids are
        unknown to the registry.
        """
        if not self.round.swept:
            return frozenset(), frozenset()
        sweep = read_sweep(self.folder.landed("sweep"))
        held = set(known(self.folder.landed("studies"), self.base)["nct_id"])
        aliases = set(sweep["aliases"].explode().drop_nulls())
        removed = (
            set(pl.read_parquet(self.folder.removed)["nct_id"]) if self.folder.removed.exists() else set()
        )
        present = set(pl.read_parquet(self.base, columns=["nct_id"])["nct_id"]) if self.base else set()
        asked = set(self.request.ids or ()) - held
        unseen = (held | asked) - set(sweep["nct_id"])
        unknown = (unseen & asked) - aliases - removed
        return frozenset(unseen - unknown - (removed - present)), frozenset(unknown)

    def _merge(self) -> Phase:
        next_ = self._next
        shutil.rmtree(next_, ignore_errors=True)
        next_.mkdir()
        about = {"source": self.walker.client.host, "data_timestamp": self.round.data_timestamp}
        gone, unknown = self._absent()
        merge = Merge(self.folder.landed("studies"), self.base, gone, self.round.day, about, self.settings)
        snapshot = next_ / self.folder.snapshot.name
        with Quarantine(next_ / _QUARANTINE) as quarantine:
            merged = write_snapshot(merge, snapshot, quarantine, self.folder.path / ".merge")
        earlier = self.folder.removed if self.folder.removed.exists() else None
        sweep = read_sweep(self.folder.landed("sweep"))
        into = write_removed(next_ / self.folder.removed.name, earlier, merge, snapshot, sweep)
        numbers = {name: value for name, value in vars(merged).items() if isinstance(value, int)}
        self.round.reasons, self.round.unread = merged.reasons, merged.unread
        self.round.unknown = sorted(unknown)
        self.round.counts = {**numbers, "removed": len(gone), "merged": into, "unknown": len(unknown)}
        self.round.counts["read"] = sum(w.received for w in self.round.walks if w.kind == "studies")
        return "publish"

    def _publish(self) -> Phase:
        # Renames only: if killed in between, the next run does the rest.
        if not self.round.reasons:
            (self.folder.path / _QUARANTINE).unlink(missing_ok=True)
        for file in self._next.glob("*") if self._next.exists() else ():
            file.replace(self.folder.path / file.name)
        shutil.rmtree(self._next, ignore_errors=True)
        return "complete"

    @property
    def _next(self) -> Path:
        return self.folder.path / "next"


def _summary(folder: SyncFolder) -> SyncSummary:
    done = folder.round
    assert done is not None
    return SyncSummary(
        out=folder.snapshot,
        data_timestamp=done.data_timestamp,
        reasons=done.reasons,
        unread=done.unread,
        unknown_ids=tuple(done.unknown),
        requests=done.requests,
        retries=done.retries,
        **done.counts,
    )
