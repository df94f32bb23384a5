"""Where an experiment's files are, in a folder laid out by us or by the user."""

from dataclasses import dataclass
from pathlib import Path

from trialtune.errors import UsageError

# The first of these in a folder is its registry; a folder with none of them is read whole.
_REGISTRY = ("trials.parquet", "snapshot.parquet", "studies.jsonl.gz")


@dataclass(frozen=True)
class DataFiles:
    """The files of an experiment; None where the data do not bring one."""

    registry: Path  # anything `trialtune registry import` reads
    stop_reasons_train: Path | None  # text, labels
    stop_reasons_test: Path | None  # text, labels
    stop_reasons_labels: Path | None  # nct_id, labels of this registry's own trials

    @property
    def all(self) -> list[Path]:
        """Every file, for fingerprints."""
        named = (self.registry, self.stop_reasons_train, self.stop_reasons_test, self.stop_reasons_labels)
        return [path for path in named if path]


def find_data(path: Path) -> DataFiles:
    """Recognise a snapshot, another registry file, or a folder that holds one and label files.

    Raises UsageError when nothing is there.
    """
    if not path.exists():
        raise UsageError(f"data {path}: no such file or folder; give --set data=PATH")
    if path.is_file():
        return DataFiles(path, None, None, None)

    def present(name: str) -> Path | None:
        return path / name if (path / name).is_file() else None

    registry = next(filter(None, map(present, _REGISTRY)), path)
    return DataFiles(
        registry,
        present("stop_reasons_train.parquet"),
        present("stop_reasons_dev.parquet"),
        present("stop_reasons.parquet"),
    )
