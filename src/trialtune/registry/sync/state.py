"""The state of a sync folder: its request, the current round, the pages fetched.

Every page is written as a Parquet part, then the manifest that lists it replaces the old one.
The manifest is valid whenever a sync is killed: a part it does not list is fetched again.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_file
from trialtune.registry.settings import SyncRequest

MANIFEST = "manifest.json"
_FORMAT: Literal[2] = 2  # in format 1, snapshots had neither sponsors nor countries
_OTHER_FORMAT = (("format",), "literal_error")
Kind = Literal["studies", "sweep"]
Phase = Literal["studies", "sweep", "repair", "merge", "publish", "complete"]


class Walk(BaseModel):
    """One request, page by page: a range of update days, or a batch of ids."""

    model_config = ConfigDict(extra="forbid")

    number: int
    kind: Kind
    first: str = "MIN"
    last: str = "MAX"
    ids: list[str] | None = None
    token: str | None = None
    total: int | None = None
    received: int = 0
    pages: int = 0
    restarts: int = 0
    done: bool = False

    @property
    def label(self) -> str:
        """The walk for messages."""
        return f"updates {self.first}..{self.last}" if self.ids is None else f"{len(self.ids)} ids"

    def begin_again(self) -> None:
        """Forget all pages: the walk restarts from the first."""
        self.token, self.total, self.received, self.pages, self.done = None, None, 0, 0, False


class Round(BaseModel):
    """One sync from beginning to end, over any number of runs."""

    model_config = ConfigDict(extra="forbid")

    number: int
    data_timestamp: str
    phase: Phase
    walks: list[Walk]
    requests: int = 0
    retries: int = 0
    counts: dict[str, int] = {}
    reasons: dict[str, int] = {}
    unread: dict[str, dict[str, Any]] = {}
    unknown: list[str] = []

    @property
    def day(self) -> str:
        """The day of the registry's data, for the history columns."""
        return self.data_timestamp[:10]

    @property
    def fetched(self) -> bool:
        """Whether anything was fetched: not in a first round rejected at once, such as for a bad field."""
        return self.number > 1 or self.phase == "complete" or any(walk.pages for walk in self.walks)

    @property
    def swept(self) -> bool:
        """Whether every id of the registry was checked."""
        return any(walk.kind == "sweep" for walk in self.walks)

    def add(self, walks: list[Walk]) -> None:
        """Add walks, numbered from the last."""
        start = 1 + max((walk.number for walk in self.walks), default=0)
        self.walks += [walk.model_copy(update={"number": start + i}) for i, walk in enumerate(walks)]


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal[2]
    request: dict[str, Any]
    round: Round | None = None


class SyncFolder:
    """A sync folder: its manifest and the paths of its files."""

    def __init__(self, path: Path, manifest: _Manifest) -> None:
        self.path = path
        self._manifest = manifest

    @classmethod
    def open(cls, path: Path, request: SyncRequest) -> Self:
        """The existing folder, or a new one.

        Raises UsageError when the path is something else, or belongs to another request; DataError
        when its manifest is broken.
        """
        file = path / MANIFEST
        if path.is_file():
            raise UsageError(f"--out {path}: is a file; give a folder")
        if not file.exists():
            if path.is_dir() and any(not entry.name.startswith(".") for entry in path.iterdir()):
                raise UsageError(f"--out {path}: holds files that are not a sync; give a new or empty folder")
            return cls(path, _Manifest(format=_FORMAT, request=request.identity()))
        try:
            manifest = _Manifest.model_validate_json(file.read_bytes())
        except ValidationError as error:
            if any((problem["loc"], problem["type"]) == _OTHER_FORMAT for problem in error.errors()):
                raise DataError(
                    f"{file}: a sync by another version of trialtune, whose trials lack columns of this"
                    " one's (sponsors, countries, enrollment); sync into a new folder, where first_seen and"
                    " last_changed start again"
                ) from error
            raise DataError(f"{file}: not a valid manifest ({error}); sync into a new folder") from error
        now = request.identity()
        other = [name for name in now if manifest.request.get(name) != now[name]]
        if other and manifest.round and not manifest.round.fetched:
            return cls(path, _Manifest(format=_FORMAT, request=now))
        if other:
            before = manifest.request
            differences = "; ".join(_difference(name, before.get(name), now[name]) for name in other)
            raise UsageError(f"--out {path}: has another request's sync ({differences}); give another folder")
        return cls(path, manifest)

    @property
    def round(self) -> Round | None:
        """The current round, or the last one when it is complete."""
        return self._manifest.round

    def begin(self, new: Round) -> None:
        """Start a round."""
        self._manifest.round = new
        self.save()

    def save(self) -> None:
        """Replace the manifest atomically."""
        with atomic_file(self.path / MANIFEST) as temporary:
            temporary.write_text(self._manifest.model_dump_json(exclude_defaults=True), encoding="utf-8")

    @property
    def snapshot(self) -> Path:
        """The finished snapshot of the last complete round."""
        return self.path / "snapshot.parquet"

    @property
    def removed(self) -> Path:
        """The trials that were removed or merged: nct_id, merged_into, removed_on."""
        return self.path / "removed.parquet"

    def part(self, walk: Walk, page: int) -> Path:
        """The file of a page of a walk; pages are numbered from 1."""
        folder = "parts" if walk.kind == "studies" else "sweep"
        assert self.round is not None
        return self.path / folder / f"{self.round.number:04}-{walk.number:05}-{page:05}.parquet"

    def landed(self, kind: Kind) -> list[Path]:
        """The parts of this round listed in the manifest, in the order fetched."""
        walks = self.round.walks if self.round and self.round.phase != "complete" else []
        return [self.part(w, page) for w in walks if w.kind == kind for page in range(1, w.pages + 1)]

    def tidy(self) -> None:
        """Clean up after a killed run: parts not listed in the manifest, partial files."""
        counted = {*self.landed("studies"), *self.landed("sweep")}
        for folder in ("parts", "sweep"):
            for file in (self.path / folder).glob("*"):
                if file not in counted:
                    file.unlink()
        for file in self.path.glob(".*.tmp*"):
            file.unlink()


def _difference(name: str, there: object, here: object) -> str:
    """How two requests differ; for lists only the items in one of them."""
    if isinstance(there, list) and isinstance(here, list):
        there, here = sorted(set(there) - set(here)), sorted(set(here) - set(there))
        return f"{name}: only before {', '.join(there) or 'none'}, only now {', '.join(here) or 'none'}"
    return f"{name} {there!r} before, {here!r} now"
