"""What a labelled registry is, in words: what its `croissant.json` and its data card both say."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from trialtune.classifier.prediction import EVIDENCE, PREDICTION_COLUMNS
from trialtune.labelling.publication import Publication
from trialtune.labelling.summary import LabellingSummary
from trialtune.tasks.crosswalk import Crosswalk
from trialtune.tasks.task import Task

#: Where the texts come from, and on what terms: who passes them on names the source, the date of the data
#: and what was changed, and claims no rights to them.
REGISTRY, TERMS = "https://clinicaltrials.gov", "https://clinicaltrials.gov/about-site/terms-conditions"
_BIBTEX = str.maketrans({sign: f"\\{sign}" for sign in "{}_&%#$"} | {"\\": r"\textbackslash "})


@dataclass(frozen=True)
class Description:
    """The facts. No clock's time is among them: the same labels are described by the same words."""

    task: Task
    summary: LabellingSummary
    crosswalks: Sequence[Crosswalk] = ()
    evidence: bool = False
    models: str | None = None  # the version of the package that the classifier came with
    publication: Publication = field(default_factory=Publication)

    @property
    def date(self) -> str | None:
        """The day of the registry's data, as YYYY-MM-DD; None where the snapshot states no date."""
        try:
            return datetime.fromisoformat(self.summary.snapshot.data_timestamp or "").date().isoformat()
        except ValueError:
            return None

    @property
    def version(self) -> str | None:
        """The day and the classifier, in the form of a semantic version: 2026.7.1+0123456789abcdef."""
        if not self.date:
            return None
        day = ".".join(str(int(part)) for part in self.date.split("-"))
        return f"{day}+{self.summary.classifier.fingerprint}"

    @property
    def name(self) -> str:
        """A title."""
        return f"Labels of the task {self.task.name} for trials of ClinicalTrials.gov"

    @property
    def classifier(self) -> str:
        """The classifier by all its names."""
        came = f" of trialtune-models {self.models}" if self.models else ""
        named = self.summary.classifier
        return f"{named.name}{came}, fingerprint {named.fingerprint}"

    @property
    def software(self) -> str:
        """What the classifier ran in."""
        return f"trialtune {self.summary.version}"

    @property
    def about(self) -> str:
        """What it is, in a paragraph."""
        counted, answers = self.summary, "Several labels may hold for a text"
        if self.task.kind == "multi_class":
            answers = "A text has one label"
        return (
            f"{counted.labelled:,} of {counted.trials:,} trials of ClinicalTrials.gov"
            f"{f', data of {self.date},' if self.date else ''} have a text of the task {self.task.name},"
            f" which a classifier read ({self.classifier}; {self.software}). {answers}; there are"
            f" {len(self.task.labels)}. Labels and probabilities are a model's answers, not facts of the"
            " registry. Texts are those of the registry, on its terms, with white space made even and fields"
            " put together where the task reads several."
        )

    @property
    def limits(self) -> str:
        """What labels do not say."""
        return (
            "Labels say what a text says, not what happened. No person has checked them; rows with"
            " needs_review are those that the classifier is unsure of. A trial whose record has no such text"
            " has no labels."
        )

    @property
    def columns(self) -> dict[str, str]:
        """What each column holds."""
        more = {EVIDENCE: "The words of the text that made each label."} if self.evidence else {}
        described = PREDICTION_COLUMNS | more
        for crosswalk in self.crosswalks:
            described |= crosswalk.described
        return described

    def inner(self, column: str) -> dict[str, str]:
        """What each field of a column of probabilities stands for."""
        classes = {one.columns[1]: one.classes for one in self.crosswalks}
        return {"probabilities": dict(self.task.labels), **classes}.get(column, {})

    @property
    def citation(self) -> str:
        """How to cite it, as BibTeX."""
        fields = {
            "title": self.name,
            "author": self.publication.creator,
            "year": self.date and self.date[:4],
            "note": f"{self.software}, classifier {self.classifier}"
            + (f", data of ClinicalTrials.gov of {self.date}" if self.date else ""),
        }
        lines = [f"  {name} = {{{text.translate(_BIBTEX)}}}" for name, text in fields.items() if text]
        if self.publication.url:
            lines.append(f"  url = {{{self.publication.url}}}")
        key = f"{self.task.name}-labels-{self.summary.classifier.fingerprint}"
        return f"@misc{{{key},\n" + ",\n".join(lines) + "\n}"
