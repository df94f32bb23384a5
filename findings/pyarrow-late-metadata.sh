#!/usr/bin/env bash
# What pyarrow.parquet.ParquetWriter.add_key_value_metadata writes is in the file's footer, but
# pyarrow.parquet.read_schema and the schema of read_table do not show it, although they show key-value
# metadata that was given with the schema. Only read_metadata(...).metadata has both. Expected: both in each.
# Seen with pyarrow 26.0.1, Python 3.11:
#   read_schema: early
#   read_table: early
#   read_metadata: early, late
# Fails when that changes. Needs PyPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table({"nct_id": ["NCT00000001"]}).replace_schema_metadata({"early": "1"})
with pq.ParquetWriter("a.parquet", table.schema) as writer:
    writer.write_table(table)
    writer.add_key_value_metadata({"late": "2"})
seen = {
    "read_schema": pq.read_schema("a.parquet").metadata,
    "read_table": pq.read_table("a.parquet").schema.metadata,
    "read_metadata": pq.read_metadata("a.parquet").metadata,
}
names = {way: sorted({b"early", b"late"} & set(found or {})) for way, found in seen.items()}
for way, found in names.items():
    print(f"{way}: {', '.join(key.decode() for key in found)}")
assert names == {
    "read_schema": [b"early"], "read_table": [b"early"], "read_metadata": [b"early", b"late"]
}, "changed"
PY
