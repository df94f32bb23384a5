"""The first row of each trial: later ones of the same NCT id are refused."""

import pyarrow as pa

from trialtune.registry.readers.chunk import Packed
from trialtune.registry.record.row import Row, bad_row


class Deduplicator:
    """Remembers which trials came, in which row and with what content."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[tuple[str, int], str]] = {}

    def of(self, packed: Packed) -> tuple[pa.Table, list[Row]]:
        """The good rows whose trial is new, and the refused ones, both in order."""
        refused = [((place, 0), row) for place, row in packed.bad]
        again = []
        ids, digests = (packed.good[name].to_pylist() for name in ("nct_id", "row_hash"))
        for i, (nct_id, digest, place) in enumerate(zip(ids, digests, packed.places, strict=True)):
            first = self._seen.setdefault(nct_id, (place, digest))
            if first[0] is not place:
                again.append(i)
                refused.append(((i, 1), _repeated(packed, i, first)))
        table = packed.good
        if again:
            table = table.filter(pa.array([i not in set(again) for i in range(len(ids))]))
        return table, [row for _, row in sorted(refused, key=lambda entry: entry[0])]


def _repeated(packed: Packed, i: int, first: tuple[tuple[str, int], str]) -> Row:
    record = packed.good.slice(i, 1).to_pylist()[0]
    (first_file, first_number), digest = first
    kind = "same content" if digest == record["row_hash"] else "other content"
    reason = f"duplicate NCT id, {kind}: {record['nct_id']} is already in {first_file} row {first_number}"
    return bad_row(*packed.places[i], reason, record)
