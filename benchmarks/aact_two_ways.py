"""The same records through AACT's files and through the API's JSON: in which texts the imports differ.

Prints a table of the text fields: how many trials have the same text both ways, how many differ in blank
lines (or blanks) only, in lost quotation marks too, or in anything else; and what `registry diff` calls
changed. Run: python benchmarks/aact_two_ways.py [--aact FILE] [--json-lines FILE]
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from trialtune import diff, import_trials, read_snapshot
from trialtune.registry.record.schema import GROUP_COLUMNS, LIST_COLUMNS, TEXT_FIELDS

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
KINDS = ("same", "blanks", "quotation marks", "other")
Cell = str | list[str] | None


def kind_of(one: Cell, other: Cell) -> str:
    """How two texts differ."""
    ones, others = ("\n".join(cell) if isinstance(cell, list) else cell or "" for cell in (one, other))
    if ones == others:
        return "same"
    if ones.split() == others.split():
        return "blanks"
    return "quotation marks" if ones.replace('"', "").split() == others.replace('"', "").split() else "other"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--aact", type=Path, default=DATA / "aact_flat_files.zip")
    parser.add_argument("--json-lines", type=Path, default=DATA / "registry_v2_studies.jsonl.gz")
    options = parser.parse_args()
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as work:
        ways = {"aact": options.aact, "json": options.json_lines}
        snapshots = {name: Path(work) / f"{name}.parquet" for name in ways}
        for name, source in ways.items():
            summary = import_trials(source, snapshots[name])
            console.print(f"{source.name}: read {summary.read:,}, kept {summary.kept:,}")
        frames = {name: read_snapshot(path).sort("nct_id") for name, path in snapshots.items()}
        table = Table("field", *KINDS, box=box.MARKDOWN)
        for field in TEXT_FIELDS:
            pairs = zip(frames["aact"][field].to_list(), frames["json"][field].to_list(), strict=True)
            counts = Counter(kind_of(one, other) for one, other in pairs if one or other)
            if counts:
                table.add_row(field, *(f"{counts[kind]:,}" for kind in KINDS))
        console.print(table)
        answers = [
            name
            for name in frames["json"].columns
            if name not in {*TEXT_FIELDS, *GROUP_COLUMNS, "source", "data_timestamp", "row_hash"}
        ]
        for name in answers:
            rows = zip(frames["aact"][name].to_list(), frames["json"][name].to_list(), strict=True)
            different = sum(one != other for one, other in rows)
            if different:
                console.print(f"{name}: {different:,} differ")
        lists = sum(name in LIST_COLUMNS for name in answers)
        console.print(f"other columns compared: {len(answers)} ({lists} of them lists)")
        changes = diff(snapshots["aact"], snapshots["json"], Path(work) / "diff")
        console.print(f"registry diff: {changes.unchanged:,} unchanged, {changes.changed} changed")


if __name__ == "__main__":
    main()
