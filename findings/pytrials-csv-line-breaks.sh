#!/usr/bin/env bash
# pytrials' answers as CSV, its default, lose the line breaks inside a field: it cuts the answer into lines before the
# CSV reader sees the quotes, and the reader joins the parts with nothing between. In a brief summary, where paragraphs
# and lists stand on lines of their own, the last word of one and the first of the next become one word, such as
# "metforminin", and nothing is said. Expected: the field as the registry has it, as JSON gives it.
# Seen with pytrials 1.0.0, Python 3.11:
#   JSON: 'Does metformin\nin old age help?\n\n* Arm A\n* Arm B'
#   CSV: 'Does metforminin old age help?* Arm A* Arm B'
# Fails when that changes. Needs PyPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pytrials==1.0.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import csv
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from pytrials.client import ClinicalTrials

summary = "Does metformin\nin old age help?\n\n* Arm A\n* Arm B"
table = io.StringIO()
csv.writer(table).writerows([["NCT Number", "Brief Summary"], ["NCT00000001", summary]])
section = {"identificationModule": {"nctId": "NCT00000001"}, "descriptionModule": {"briefSummary": summary}}
answers = {
    "version": json.dumps({"apiVersion": "2.0.5", "dataTimestamp": "2026-01-02T09:00:05"}),
    "json": json.dumps({"studies": [{"protocolSection": section}]}),
    "csv": table.getvalue(),
}


class Registry(BaseHTTPRequestHandler):
    """Answers /version and /studies as the API's version 2 does."""

    def do_GET(self):
        asked = urlsplit(self.path)
        name = "version" if asked.path.endswith("version") else parse_qs(asked.query)["format"][0]
        body = answers[name].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/csv" if name == "csv" else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Registry)
threading.Thread(target=server.serve_forever, daemon=True).start()
ClinicalTrials._BASE_URL = f"http://127.0.0.1:{server.server_port}/api/v2/"
client = ClinicalTrials()
found = client.get_study_fields("metformin", ["BriefSummary"], fmt="json")
by_json = found["studies"][0]["protocolSection"]["descriptionModule"]["briefSummary"]
head, row = client.get_study_fields("metformin", ["NCT Number", "Brief Summary"])
by_csv = dict(zip(head, row, strict=True))["Brief Summary"]
print(f"JSON: {by_json!r}")
print(f"CSV: {by_csv!r}")
assert by_json == summary, "the record itself is not read"
assert by_csv == summary.replace("\n", ""), "changed"
PY
