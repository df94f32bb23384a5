#!/usr/bin/env bash
# pyctrials' fetch_trials loses start and completion dates, with no warning: ClinicalTrials.gov gives a month (2020-05)
# or a day (2020-05-12), and the client parses each page's column as pandas.to_datetime(..., errors="coerce") does, by
# the format of its first value. Which dates become NaT depends on the record that happens to be first on a page.
# Expected: a date for each of the four records, on pages of any size.
# Seen with pyctrials 0.1.11, pandas 3.1.1, Python 3.11:
#   pages of 4: start dates of NCT00000001, NCT00000004
#   pages of 2: start dates of NCT00000001, NCT00000003
#   pages of 1: start dates of NCT00000001, NCT00000002, NCT00000003, NCT00000004
# Fails when that changes. Needs PyPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyctrials==0.1.11 pandas==3.1.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from pyctrials import ClinicalTrialsAPI

warnings.simplefilter("error")
dates = {"NCT00000001": "2020-05-12", "NCT00000002": "2018-11", "NCT00000003": "2019-02", "NCT00000004": "2021-01-04"}
studies = [
    {
        "protocolSection": {
            "identificationModule": {"nctId": trial, "briefTitle": f"Trial {trial}"},
            "statusModule": {"overallStatus": "RECRUITING", "startDateStruct": {"date": date}},
            "sponsorCollaboratorsModule": {"leadSponsor": {"name": "A sponsor", "class": "OTHER"}},
            "conditionsModule": {"conditions": ["Pompe Disease"]},
        }
    }
    for trial, date in dates.items()
]


class Registry(BaseHTTPRequestHandler):
    """Answers /studies in pages, as the API's version 2 does."""

    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        size, start = int(asked["pageSize"][0]), int(asked.get("pageToken", ["0"])[0])
        page = {"studies": studies[start : start + size]}
        if start + size < len(studies):
            page["nextPageToken"] = str(start + size)
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Registry)
threading.Thread(target=server.serve_forever, daemon=True).start()
ClinicalTrialsAPI.BASE_URL = f"http://127.0.0.1:{server.server_port}/api/v2/studies"
seen = {}
for size in (4, 2, 1):
    found = ClinicalTrialsAPI().fetch_trials("Pompe Disease", page_size=size)
    assert sorted(found["nct_id"]) == sorted(dates)
    seen[size] = sorted(found.loc[found["start_date"].notna(), "nct_id"])
    print(f"pages of {size}: start dates of {', '.join(seen[size])}")
assert seen[1] == sorted(dates), "the records themselves are not read"
assert seen[4] == ["NCT00000001", "NCT00000004"] and seen[2] == ["NCT00000001", "NCT00000003"], "changed"
PY
