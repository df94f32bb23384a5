"""Writing the sample registry to a folder, the same bytes for the same settings."""

import gzip
from pathlib import Path

import polars as pl

from trialtune.files import atomic_file, write_text
from trialtune.registry.sample.dirt import as_line, spoil
from trialtune.registry.sample.studies import generate_studies
from trialtune.registry.settings import SampleSettings

STUDIES, STOP_REASONS, README = "studies.jsonl.gz", "stop_reasons.parquet", "README.txt"

_ABOUT = """\
MADE-UP DATA

Every study in this folder was made up by a seeded program. The trials never took place, the sponsors do
not exist, and nothing here says anything about a drug, a disease or a person. Do not mix it with registry
data. The NCT numbers (NCT90000000 and up) are of a range that the registry has not reached.

{studies} lines, seed {seed}, {dirty} of them dirty on purpose: broken or ugly, to try the importer.

studies.jsonl.gz      one study a line, in the shape of the ClinicalTrials.gov API v2
stop_reasons.parquet  nct_id and labels: why each stopped trial stopped, as the program meant it (no text)
"""


def write_sample(folder: Path, settings: SampleSettings) -> Path:
    """Write studies, true stop-reason labels and a README into `folder`; returns the folder.

    `settings.dirty` of the lines, evenly spread, are spoiled; labels of studies lost that way are left out.
    """
    lines, ids, labels = [], [], []
    turns = {
        (2 * turn + 1) * settings.studies // (2 * settings.dirty): turn for turn in range(settings.dirty)
    }
    before = None
    for place, sample in enumerate(generate_studies(settings)):
        line, saved = as_line(sample.study), True
        if place in turns:
            line, saved = spoil(turns[place], sample.study, before or sample.study)
        lines.append(line)
        if sample.labels and saved:
            ids.append(sample.study["protocolSection"]["identificationModule"]["nctId"])
            labels.append(list(sample.labels))
        before = sample.study
    with atomic_file(folder / STUDIES) as temporary:
        # No time and no name in the gzip header, so that equal content means equal bytes.
        temporary.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    with atomic_file(folder / STOP_REASONS) as temporary:
        schema = pl.Schema({"nct_id": pl.String(), "labels": pl.List(pl.String)})
        pl.DataFrame({"nct_id": ids, "labels": labels}, schema=schema).write_parquet(temporary)
    with atomic_file(folder / README) as temporary:
        values = {"studies": settings.studies, "seed": settings.seed, "dirty": settings.dirty}
        write_text(temporary, _ABOUT.format(**values))
    return folder
