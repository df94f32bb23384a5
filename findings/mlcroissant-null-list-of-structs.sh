#!/usr/bin/env bash
# mlcroissant reads a null in a Parquet column of lists of structs as a list with one struct of nulls, which
# nobody can tell from a list that holds such a struct: counts of items are too high by one for each null.
# The data set is valid Croissant 1.1 (no error, no warning); lists of plain values keep their nulls.
# Expected: None for the null, as for a null list of texts, and [] for the empty list.
# Seen with mlcroissant 1.1.1, pandas 3.1.1, pyarrow 26.0.1, Python 3.11:
#   errors and warnings: 0
#   words: [[b'a', b'b'], [], None]
#   spans: [[{'rows/spans/start': 1}, {'rows/spans/start': 2}], [], [{'rows/spans/start': None}]]
# Fails when that changes. Needs PyPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet mlcroissant==1.1.1 pandas==3.1.1 pyarrow==26.0.1 rdflib==7.6.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import hashlib
import json
from pathlib import Path

import mlcroissant
import pyarrow as pa
import pyarrow.parquet as pq

spans = pa.list_(pa.struct([("start", pa.int64())]))
table = pa.table(
    {
        "words": pa.array([["a", "b"], [], None], pa.list_(pa.string())),
        "spans": pa.array([[{"start": 1}, {"start": 2}], [], None], spans),
    }
)
pq.write_table(table, "a.parquet")
names = "arrayShape citeAs column containedIn equivalentProperty extract field fileObject fileProperty fileSet"
names += " format includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated"
names += " replace samplingRate separator source subField transform"
context = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    **{name: f"cr:{name}" for name in names.split()},
}


def source(column, **more):
    return {"fileObject": {"@id": "a.parquet"}, "extract": {"column": column}, **more}


start = {
    "@type": "cr:Field",
    "@id": "rows/spans/start",
    "dataType": "sc:Integer",
    "source": source("spans", transform={"jsonPath": "start"}),
}
array = {"@type": "cr:Field", "isArray": True, "arrayShape": "-1"}
described = {
    "@context": context,
    "@type": "sc:Dataset",
    "conformsTo": "http://mlcommons.org/croissant/1.1",
    "name": "a",
    "description": "Two columns.",
    "license": "https://spdx.org/licenses/CC0-1.0",
    "url": "https://example.org/a",
    "version": "1.0.0",
    "datePublished": "2026-01-01",
    "citeAs": "@misc{a}",
    "distribution": [
        {
            "@type": "cr:FileObject",
            "@id": "a.parquet",
            "contentUrl": "a.parquet",
            "encodingFormat": "application/x-parquet",
            "sha256": hashlib.sha256(Path("a.parquet").read_bytes()).hexdigest(),
        }
    ],
    "recordSet": [
        {
            "@type": "cr:RecordSet",
            "@id": "rows",
            "field": [
                {**array, "@id": "rows/words", "dataType": "sc:Text", "source": source("words")},
                {**array, "@id": "rows/spans", "subField": [start]},
            ],
        }
    ],
}
Path("croissant.json").write_text(json.dumps(described))
data = mlcroissant.Dataset(jsonld="croissant.json")
issues = data.metadata.ctx.issues
print(f"errors and warnings: {len(issues.errors) + len(issues.warnings)}")
records = list(data.records("rows"))
found = {name: [record[f"rows/{name}"] for record in records] for name in ("words", "spans")}
for name, values in found.items():
    print(f"{name}: {values}")
assert not issues.errors and not issues.warnings, "the description is found wrong"
assert found["words"] == [[b"a", b"b"], [], None], "changed"
two = [{"rows/spans/start": 1}, {"rows/spans/start": 2}]
assert found["spans"] == [two, [], [{"rows/spans/start": None}]], "changed"
PY
