"""Maps spellings of label names to a task's labels."""

import difflib
import re
from collections.abc import Iterable

from trialtune.errors import DataError
from trialtune.tasks.spec import DIVIDERS
from trialtune.tasks.task import Task
from trialtune.tasks.text import normalize_text

_MISSING = {"", "none", "nan", "null", "n a", "na", "unknown"}


class LabelNames:
    """A task's labels by every known spelling, ignoring case and punctuation."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.known = {normalize_text(label): label for label in task.labels}
        self.known |= {normalize_text(spelling): label for spelling, label in task.synonyms.items()}

    def resolve(self, names: Iterable[str], place: str) -> list[str]:
        """The task's labels for the names as written, in the task's order; [] when there are none.

        Raises DataError, which begins with `place`, for an unknown name, and for two classes where
        the task takes one.
        """
        found = set()
        for name in names or ("",):
            key = normalize_text(name)
            if key in self.known:
                found.add(self.known[key])
            elif key not in _MISSING:
                parts = [normalize_text(part) for part in re.split(f"[{DIVIDERS}]", name)]
                if self.task.kind == "multi_class" and len(parts) > 1 and set(parts) <= self.known.keys():
                    raise DataError(f"{place}: {self._one_of(name)}")
                nearest = difflib.get_close_matches(key, self.known, n=1, cutoff=0.0)[0]
                raise DataError(
                    f"{place}: {name!r} is not a label of {self.task.name}; did you mean"
                    f" {self.known[nearest]!r}? (labels: {', '.join(self.task.labels)})"
                )
        if self.task.kind == "multi_class" and len(found) > 1:
            raise DataError(f"{place}: {self._one_of(', '.join(sorted(found)))}")
        return [label for label in self.task.labels if label in found]

    def _one_of(self, names: str) -> str:
        return f"{self.task.name} takes one label, not {names!r}; keep the right one"
