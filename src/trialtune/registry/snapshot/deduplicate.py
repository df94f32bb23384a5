"""Keeps the newest version of each trial: by update date, version, and position in the source."""

from dataclasses import dataclass

import pyarrow as pa

from trialtune.registry.readers.chunk import Packed
from trialtune.registry.record.dates import iso_date
from trialtune.registry.record.row import Row, bad_row

Place = tuple[str, int]  # file and row


@dataclass(slots=True)
class _Kept:
    """The version of a trial kept so far: its position among the rows kept, and in the source."""

    at: int
    file: str
    row: int
    digest: bytes
    age: tuple[str, float]


class Deduplicator:
    """Tracks the newest version of each trial so far.

    A row that is older than an earlier one, or equal to it, is rejected at once. One that is newer is kept,
    and `superseded` names the kept row that it replaces.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Kept] = {}
        self._count = 0
        #: Positions of kept rows (from 0, in output order) that a newer one replaces, with the reason.
        self.superseded: dict[int, tuple[Place, str]] = {}

    def of(self, packed: Packed) -> tuple[pa.Table, list[Row]]:
        """The good rows that are new trials or newer versions, and the rejected ones, both in order."""
        refused = [((place, 0), row) for place, row in packed.bad]
        again = []
        columns = (packed.good[name].to_pylist() for name in ("nct_id", "row_hash", "last_update_date"))
        for i, (nct_id, digest, day) in enumerate(zip(*columns, strict=True)):
            file, row = packed.places[i]
            found = _Kept(self._count, file, row, bytes.fromhex(digest), _age(day, packed.versions[i]))
            known = self._seen.get(nct_id)
            if known is not None and (found.age < known.age or _same(found, known)):
                again.append(i)
                record = packed.good.slice(i, 1).to_pylist()[0]
                refused.append(((i, 1), bad_row(file, row, _reason(nct_id, found, known), record)))
                continue
            if known is not None:
                self.superseded[known.at] = ((known.file, known.row), _reason(nct_id, known, found))
            self._seen[nct_id] = found
            self._count += 1
        table = packed.good
        if again:
            chosen = set(again)
            table = table.filter(pa.array([i not in chosen for i in range(table.num_rows)]))
        return table, [row for _, row in sorted(refused, key=lambda entry: entry[0])]


def _same(one: _Kept, other: _Kept) -> bool:
    return one.age == other.age and one.digest == other.digest


def _age(day: str | None, version: str | None) -> tuple[str, float]:
    """The sort key of versions: the day of the update, then the version's number or date."""
    if version is None:
        return day or "", -1.0
    if (of_version := iso_date(version)) is not None:
        return day or "", float(of_version.replace("-", "").ljust(8, "0"))
    try:
        return day or "", float(version)
    except ValueError:
        return day or "", -1.0


def _reason(nct_id: str, refused: _Kept, kept: _Kept) -> str:
    kind = "same content" if refused.digest == kept.digest else "other content"
    return f"duplicate NCT id, {kind}: {nct_id} is kept from {kept.file} row {kept.row}"
