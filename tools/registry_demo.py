"""Sync, kill, resume, update and diff against a stand-in registry, every count checked.

    python tools/registry_demo.py [--data STUDIES.jsonl.gz] [--out FOLDER]
    python tools/registry_demo.py --serve [--port 8090]    # only the stand-in, until Ctrl-C
    python tools/registry_demo.py --change URL             # what the demo changes, in one that serves

Real studies are taken from ../shared/data when they are there, synthetic ones otherwise. Exits with 1 when a
check fails.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
SUPPORT = ROOT / "tests" / "support"
REAL = ROOT.parent / "shared" / "data" / "registry_v2_studies.jsonl.gz"
TODAY = "2030-01-02"
PAGE = "50"
CHANGED = "the registry changes: 3 edited, 1 only touched, 1 new, 2 withdrawn, 1 merged"


class Demo:
    """The stand-in's address, the sync folder, and the checks so far."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.failed = 0

    def check(self, what: str, holds: bool) -> None:
        """Print a check and remember a failure."""
        print(f"  {'ok  ' if holds else 'FAIL'} {what}", flush=True)
        self.failed += not holds

    def command(self, *arguments: str) -> list[str]:
        """A trialtune command."""
        return [sys.executable, "-m", "trialtune", *arguments]

    def sync(self, out: str, rate: str = "0") -> list[str]:
        """The sync of the stand-in into a folder."""
        where = ["--out", str(self.folder / out), "--base-url", self.url]
        return self.command("registry", "sync", *where, "--rate", rate, "--page-size", PAGE, "--json")

    def run(self, command: list[str]) -> dict[str, Any]:
        """Run a command to its end and read its result."""
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def order(self, **order: Any) -> None:
        """Change what the registry holds."""
        admin = f"{self.url.removesuffix('/api/v2')}/admin"
        httpx.post(admin, json=order).raise_for_status()

    def studies(self, count: int) -> list[dict[str, Any]]:
        """The registry's first studies."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/studies?pageSize={count}").json()["studies"]
        return found

    def snapshot(self, out: str) -> bytes:
        """The bytes of a sync's snapshot."""
        return (self.folder / out / "snapshot.parquet").read_bytes()


def main() -> int:
    """Run the demo; 0 when every check holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=REAL if REAL.exists() else None)
    parser.add_argument("--out", type=Path, help="keep the files here; else they are removed")
    parser.add_argument("--serve", action="store_true", help="leave the stand-in running, without faults")
    parser.add_argument("--port", type=int, default=0, help="of the stand-in; default any free port")
    parser.add_argument("--change", metavar="URL", help="edit, add and withdraw trials of a stand-in")
    chosen = parser.parse_args()
    if chosen.change:
        change(Demo(chosen.change, Path()))
        print(CHANGED)
        return 0
    if chosen.serve:
        return serve(chosen.data, chosen.port)
    faults = ["--fail", "429,cut,html,expire,half", "--every", "9"]
    with tempfile.TemporaryDirectory() as scratch, stand_in(chosen.data, faults) as url:
        print(f"stand-in of {chosen.data or 'synthetic studies'} at {url}")
        demo = Demo(url, chosen.out or Path(scratch))
        show(demo)
    print("all checks hold" if not demo.failed else f"{demo.failed} checks failed")
    return 1 if demo.failed else 0


def serve(data: Path | None, port: int) -> int:
    """Serve a stand-in without faults until Ctrl-C."""
    sys.path.insert(0, str(SUPPORT))
    import registry_server  # noqa: PLC0415 - of the tests

    studies = registry_server.read_studies(data) if data else registry_server.made_up_studies(400)
    print(f"stand-in of {data or 'synthetic studies'}, until Ctrl-C, at", end=" ")
    registry_server.serve(registry_server.Registry(studies, [], 1), port)
    return 0


@contextmanager
def stand_in(data: Path | None, faults: list[str]) -> Iterator[str]:
    """A stand-in in a process of its own; yields its base URL."""
    server = [sys.executable, str(SUPPORT / "registry_server.py"), *(["--data", str(data)] if data else [])]
    with subprocess.Popen([*server, *faults], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def show(demo: Demo) -> None:
    """The demo, step by step."""
    total = httpx.get(f"{demo.url}/studies?pageSize=1&countTotal=true").json()["totalCount"]

    print("\nan uninterrupted sync, through faults on every ninth request")
    whole = demo.run(demo.sync("whole"))
    counts(whole)
    demo.check(f"all {total:,} studies are read and kept", whole["read"] == whole["kept"] == total)

    print("\nthe same sync, killed in the middle and run again")
    pages = kill_in_the_middle(demo, "registry", least=3)
    demo.check(
        f"killed after {pages} pages, no snapshot yet",
        not (demo.folder / "registry/snapshot.parquet").exists(),
    )
    resumed = demo.run(demo.sync("registry"))
    counts(resumed)
    demo.check("nothing twice, nothing missing", resumed["read"] == resumed["total"] == total)
    demo.check("the same bytes as uninterrupted", demo.snapshot("whole") == demo.snapshot("registry"))

    print(f"\n{CHANGED}; sync again")
    changes = change(demo)
    updated = demo.run(demo.sync("registry"))
    counts(updated)
    found = {name: updated[name] for name in ("new", "changed", "removed", "merged")}
    demo.check("new 1, changed 3, removed 3, merged 1", list(found.values()) == [1, 3, 3, 1])
    demo.check("only what changed was fetched", updated["read"] == 4 + updated["unchanged"] < total / 4)
    demo.check("the total follows", updated["total"] == total + 1 - 3)
    removed = {row[0]: row[1] for row in pl.read_parquet(demo.folder / "registry/removed.parquet").rows()}
    demo.check("withdrawn and merged ids are distinguished", removed == changes)
    history = pl.read_parquet(
        demo.folder / "registry/snapshot.parquet", columns=["first_seen", "last_changed"]
    )
    fresh = history.select((pl.col(name) == TODAY).sum() for name in ("first_seen", "last_changed")).row(0)
    demo.check("history: 1 first seen and 4 last changed today", fresh == (1, 4))

    print("\ndiff of the update against the sync before it")
    old, out = str(demo.folder / "whole" / "snapshot.parquet"), str(demo.folder / "diff")
    diff = demo.run(
        demo.command("registry", "diff", str(demo.folder / "registry"), "--base", old, "--out", out, "--json")
    )
    counts(diff, ("total", "base", "new", "changed", "unchanged", "removed"))
    demo.check("it agrees", (diff["new"], diff["changed"], diff["removed"]) == (1, 3, 3))


def kill_in_the_middle(demo: Demo, out: str, least: int) -> int:
    """Start a sync, kill it with SIGKILL once some pages are written; returns their number."""
    parts = demo.folder / out / "parts"
    with subprocess.Popen(demo.sync(out, rate="20"), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(parts.glob("0*.parquet"))) < least:
            time.sleep(0.01)
        process.kill()
    return len(list(parts.glob("0*.parquet")))


def change(demo: Demo) -> dict[str, str | None]:
    """Change the registry; returns the ids that go, and what they were merged into."""
    studies = demo.studies(9)
    ids = [study["protocolSection"]["identificationModule"]["nctId"] for study in studies]
    for place, study in enumerate(studies[:5]):
        protocol = study["protocolSection"]
        protocol["statusModule"]["lastUpdatePostDateStruct"] = {"date": TODAY}
        if place < 3:
            protocol["descriptionModule"] = {"briefSummary": f"Edited for the demo, {place}."}
        if place == 4:
            protocol["identificationModule"]["nctId"] = "NCT99999999"
    merged, keeper = ids[7], ids[8]
    demo.order(timestamp=f"{TODAY}T09:00:05", put=studies[:5], withdraw=ids[5:7], merge={merged: keeper})
    return {ids[5]: None, ids[6]: None, merged: keeper}


def counts(result: dict[str, Any], names: tuple[str, ...] = ()) -> None:
    """Print the counts of a result in one line."""
    names = names or (
        "read",
        "kept",
        "quarantined",
        "new",
        "changed",
        "unchanged",
        "removed",
        "merged",
        "total",
    )
    more = tuple(name for name in ("requests", "retries") if name in result)
    print("  " + ", ".join(f"{name} {result[name]:,}" for name in (*names, *more)))


if __name__ == "__main__":
    sys.exit(main())
