#!/usr/bin/env bash
# A Croissant file whose encodingFormat is the registered media type of Parquet, application/vnd.apache.parquet
# (IANA, 2024-02-14), passes mlcroissant's validation without an error or warning, and then none of its records can be
# read: mlcroissant knows Parquet by application/x-parquet alone, which is registered nowhere.
# Expected: records, since Croissant asks for a MIME type in encodingFormat; or else an error of validation.
# Seen with mlcroissant 1.1.1, pandas 3.1.1, pyarrow 26.0.1, Python 3.11:
#   application/x-parquet: errors and warnings: 0; records: 2
#   application/vnd.apache.parquet: errors and warnings: 0; records: none
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

pq.write_table(pa.table({"trial": ["a", "b"]}), "trials.parquet")
digest = hashlib.sha256(Path("trials.parquet").read_bytes()).hexdigest()


def described(media_type):
    """The data set by mlcroissant's own classes, so that its context and version are those it writes itself."""
    file = mlcroissant.FileObject(
        id="trials.parquet",
        name="trials.parquet",
        content_url="trials.parquet",
        encoding_formats=[media_type],
        sha256=digest,
    )
    field = mlcroissant.Field(
        id="trials/trial",
        name="trials/trial",
        data_types=mlcroissant.DataType.TEXT,
        source=mlcroissant.Source(file_object="trials.parquet", extract=mlcroissant.Extract(column="trial")),
    )
    return mlcroissant.Metadata(
        name="trials",
        description="One column.",
        url="https://example.org/trials",
        license=["https://spdx.org/licenses/CC0-1.0"],
        version="1.0.0",
        date_published="2026-01-01",
        cite_as="@misc{trials}",
        distribution=[file],
        record_sets=[mlcroissant.RecordSet(id="trials", name="trials", fields=[field])],
    )


seen = {}
for media_type in ("application/x-parquet", "application/vnd.apache.parquet"):
    Path("croissant.json").write_text(json.dumps(described(media_type).to_json(), default=str))
    data = mlcroissant.Dataset(jsonld="croissant.json")
    issues = data.metadata.ctx.issues
    count = len(issues.errors) + len(issues.warnings)
    try:
        records = len(list(data.records("trials")))
    except Exception as error:
        records = "none"
        print(error.__cause__ or error)
    print(f"{media_type}: errors and warnings: {count}; records: {records}")
    seen[media_type] = (count, records)
assert seen["application/x-parquet"] == (0, 2), "the description itself is wrong"
assert seen["application/vnd.apache.parquet"] == (0, "none"), "changed"
PY
