"""Fetches the pages of a request: each is written as a Parquet part before the next is requested."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.errors import DataError
from trialtune.files import atomic_file
from trialtune.registry.record.dates import iso_date
from trialtune.registry.record.row import Row, bad_row, value_row
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA, content_hash
from trialtune.registry.record.validate import is_nct_id, nct_id_of
from trialtune.registry.settings import SyncRequest
from trialtune.registry.sync.client import Page, Refused, RegistryClient
from trialtune.registry.sync.state import Kind, SyncFolder, Walk

#: A part holds every study of its page: the good ones as snapshot rows, with the unreadable values
#: ([[field, value], ...] in JSON); the rejected ones with reason and raw fields.
PART_SCHEMA = pa.schema(
    [
        *SNAPSHOT_SCHEMA,
        pa.field("file", pa.string()),
        pa.field("number", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("raw", pa.string()),
        pa.field("unread", pa.string()),
    ]
)
SWEEP_SCHEMA = pa.schema(
    [
        pa.field("nct_id", pa.string()),
        pa.field("last_update_date", pa.string()),
        pa.field("aliases", pa.list_(pa.string())),
    ]
)
_SWEEP_FIELDS = "NCTId,LastUpdatePostDate,NCTIdAlias"
_RESTARTS = 3
_NO_ENTRY = {401, 403}  # access denied: the parts are kept for a later run
_BATCH = 200  # ids in one URL of some 2,500 characters
# Before the registry's first trial: where the bisection of date ranges begins.
_FIRST_DAY = date(1999, 1, 1)


@dataclass(frozen=True)
class Walker:
    """The context of a walk: client, request, and folder of the parts."""

    client: RegistryClient
    folder: SyncFolder
    request: SyncRequest
    page_size: int
    progress: Callable[[int], None]

    def params(self, walk: Walk) -> dict[str, str]:
        """The walk as the API's parameters, equal for each of its pages."""
        fields = _SWEEP_FIELDS if walk.kind == "sweep" else ",".join(self.request.fields)
        asked = {"fields": fields}
        if walk.ids is not None:
            return {**asked, "filter.ids": ",".join(walk.ids)}
        if self.request.query:
            asked["query.term"] = self.request.query
        if (walk.first, walk.last) != ("MIN", "MAX"):
            asked["filter.advanced"] = f"AREA[LastUpdatePostDate]RANGE[{walk.first},{walk.last}]"
        return asked

    def walk_all(self, kind: Kind) -> None:
        """Fetch every missing page of the round's walks of a kind.

        Raises DataError when a walk fails repeatedly: the totals differ, or its tokens expire.
        """
        assert self.folder.round is not None
        walks = self.folder.round.walks
        while left := [walk for walk in walks if walk.kind == kind and not walk.done]:
            self._walk(left[0])

    def save(self) -> None:
        """Save the manifest, with the requests so far."""
        assert self.folder.round is not None
        self.folder.round.requests, self.folder.round.retries = self.client.requests, self.client.retries
        self.folder.save()

    def _walk(self, walk: Walk) -> None:
        while not walk.done:
            try:
                page = self.client.page(self.params(walk), token=walk.token, size=self.page_size)
            except Refused as error:
                if error.status in _NO_ENTRY:
                    raise
                if walk.token is not None:
                    self._again(walk, f"its page token was refused ({error.reason})")
                    self._narrow(walk)
                elif walk.ids is not None:
                    self._split(walk, error.reason)
                else:
                    raise
                continue
            if self._land(walk, page):
                self.save()
                self.progress(len(page.studies))

    def _land(self, walk: Walk, page: Page) -> bool:
        """Write a page; False when the walk's numbers do not add up and it restarts."""
        received = walk.received + len(page.studies)
        total = page.total if walk.token is None else walk.total
        ends = not page.token
        if total is not None and (received > total or (ends and received != total)):
            counts = f"the registry announced {total:,} studies and sent {received:,}"
            self._again(walk, f"{counts}{'' if ends else ' and more'}")
            return False
        self._write(walk, [*self._rows(walk, page.studies)] if walk.kind == "studies" else page.studies)
        walk.pages, walk.received, walk.total = walk.pages + 1, received, total
        walk.token, walk.done = page.token or None, ends
        return True

    def _again(self, walk: Walk, reason: str) -> None:
        if walk.restarts == _RESTARTS:
            raise DataError(
                f"{self.client.base_url}: {walk.label}: {reason}, {_RESTARTS + 1} times in a row;"
                " the other parts are kept: run the same command again later"
            )
        walk.restarts += 1
        stale = [self.folder.part(walk, page) for page in range(1, walk.pages + 1)]
        walk.begin_again()
        self.save()
        for part in stale:
            part.unlink(missing_ok=True)

    def _narrow(self, walk: Walk) -> None:
        """Halve a range of days after two restarts: fewer pages need shorter-lived tokens."""
        assert self.folder.round is not None
        halves = _halves(walk.first, walk.last, date.fromisoformat(self.folder.round.day))
        if walk.ids is None and halves and walk.restarts > 1:
            (_, walk.last), (first, last) = halves
            self.folder.round.add([Walk(number=0, kind=walk.kind, first=first, last=last, restarts=1)])
            self.save()

    def _split(self, walk: Walk, refusal: str) -> None:
        """Halve a rejected batch until the offending id is isolated, and quarantine that one."""
        assert walk.ids is not None and self.folder.round is not None
        if len(walk.ids) > 1:
            half = len(walk.ids) // 2
            self.folder.round.add([Walk(number=0, kind=walk.kind, ids=walk.ids[half:])])
            walk.ids = walk.ids[:half]
        else:
            if walk.kind == "studies":
                reason = f"refused by the registry: {refusal}"
                self._write(walk, [bad_row(walk.label, 1, reason, {"nct_id": walk.ids[0]})])
                walk.pages, walk.received = 1, 1
            walk.done = True
        self.save()

    def _rows(self, walk: Walk, studies: list[Any]) -> Iterator[Row]:
        assert self.folder.round is not None
        for number, study in enumerate(studies, start=1):
            row = value_row(f"{walk.label} page {walk.pages + 1}", number, study)
            if row.record is not None:
                row.record["source"] = self.client.host
                row.record["data_timestamp"] = self.folder.round.data_timestamp
                row.record["row_hash"] = content_hash(row.record)
            yield row

    def _write(self, walk: Walk, items: list[Any]) -> None:
        part = self.folder.part(walk, walk.pages + 1)
        if walk.kind == "studies":
            write_part(part, items)
        else:
            _write_table(part, [row for item in items if (row := _sweep_row(item))], SWEEP_SCHEMA)


def write_part(path: Path, rows: list[Row]) -> None:
    """One page as a Parquet part of `PART_SCHEMA`."""
    _write_table(path, [_part_row(row) for row in rows], PART_SCHEMA)


def range_walks(walker: Walker, kind: Kind, since: str | None, *, pages: int) -> list[Walk]:
    """Walks over ranges of update days with at most `pages` pages each, the oldest first.

    Halves the days until every half is small enough, using counts only. A single day is not
    halved, nor are ranges on a server that ignores the filter, where a half has as many as the whole.
    """
    today = date.fromisoformat(walker.client.version()[:10])

    def ranges(walk: Walk, total: int) -> Iterator[Walk]:
        if total > pages * walker.page_size:
            days = _halves(walk.first, walk.last, today)
            halves = [Walk(number=0, kind=kind, first=first, last=last) for first, last in days]
            totals = [walker.client.count(walker.params(half)) for half in halves]
            if halves and min(totals) < total:
                for half, count in zip(halves, totals, strict=True):
                    yield from ranges(half, count)
                return
        if total:
            yield walk

    whole = Walk(number=0, kind=kind, first=since or "MIN")
    return list(ranges(whole, walker.client.count(walker.params(whole))))


def _halves(first: str, last: str, today: date) -> list[tuple[str, str]]:
    """The two halves of a range of days, inclusive; none for a single day."""
    low = _FIRST_DAY if first == "MIN" else date.fromisoformat(first)
    high = today if last == "MAX" else date.fromisoformat(last)
    if low >= high:
        return []
    middle = low + (high - low) // 2
    return [(first, middle.isoformat()), ((middle + timedelta(days=1)).isoformat(), last)]


def id_walks(kind: Kind, ids: list[str]) -> list[Walk]:
    """Walks over batches of ids."""
    return [Walk(number=0, kind=kind, ids=ids[at : at + _BATCH]) for at in range(0, len(ids), _BATCH)]


def _write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary, compression="zstd")


def _part_row(row: Row) -> dict[str, Any]:
    about = {"file": row.file, "number": row.number, "reason": row.reason}
    if row.record is not None:
        unread = json.dumps(row.notes.unread) if row.notes and row.notes.unread else None
        return {**row.record, **about, "unread": unread}
    # With a readable id and date, the sweep counts this study as seen.
    nct_id, day = nct_id_of(row.raw.get("nct_id")), iso_date(row.raw.get("last_update_date"))
    known = {"nct_id": nct_id if is_nct_id(nct_id) else None, "last_update_date": day}
    return {**known, **about, "raw": json.dumps(dict(row.raw), ensure_ascii=False)}


def _sweep_row(study: Any) -> dict[str, Any] | None:
    protocol = _part_of(study, "protocolSection")
    identification = _part_of(protocol, "identificationModule")
    status = _part_of(protocol, "statusModule")
    nct_id = nct_id_of(identification.get("nctId"))
    if not is_nct_id(nct_id):
        return None
    aliases = identification.get("nctIdAliases")
    return {
        "nct_id": nct_id,
        "last_update_date": iso_date(_part_of(status, "lastUpdatePostDateStruct").get("date")),
        "aliases": [a.upper() for a in aliases if is_nct_id(a)] if isinstance(aliases, list) else [],
    }


def _part_of(parent: Any, key: str) -> dict[str, Any]:
    value = parent.get(key) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}
