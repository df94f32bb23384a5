"""Registry-sized inputs made by perturbing real records: v2 JSON Lines, AACT flat files, a changed snapshot.

Every record keeps the shape of a real one (its fields, lengths, lists and line breaks) under a new NCT id;
one word in five of its texts is another word of the corpus, so that no two texts are alike and Parquet
compresses them about as well as real ones. A record depends on its number and the seed alone, and both
forms have the same content. Without the real records, those of `trialtune registry sample` are used.
"""

import copy
import csv
import gzip
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.registry.record.schema import SNAPSHOT_SCHEMA, content_hash
from trialtune.registry.sample import SampleSettings, write_sample

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "registry_v2_studies.jsonl.gz"
REPLACED = 0.2  # share of words
LATE = 0.2  # share of trials whose rows stand at the end of an AACT table, as updated ones do
_SLOT = re.compile("\ue000(\\d+)\ue001")
_STUDIES = (
    "nct_id nlm_download_date_description study_first_submitted_date results_first_submitted_date"
    " disposition_first_submitted_date last_update_submitted_date study_first_submitted_qc_date"
    " study_first_posted_date study_first_posted_date_type results_first_submitted_qc_date"
    " results_first_posted_date results_first_posted_date_type disposition_first_submitted_qc_date"
    " disposition_first_posted_date disposition_first_posted_date_type last_update_submitted_qc_date"
    " last_update_posted_date last_update_posted_date_type start_month_year start_date_type start_date"
    " verification_month_year verification_date completion_month_year completion_date_type completion_date"
    " primary_completion_month_year primary_completion_date_type primary_completion_date target_duration"
    " study_type acronym baseline_population brief_title official_title overall_status last_known_status"
    " phase enrollment enrollment_type source limitations_and_caveats number_of_arms number_of_groups"
    " why_stopped has_expanded_access expanded_access_type_individual expanded_access_type_intermediate"
    " expanded_access_type_treatment has_dmc is_fda_regulated_drug is_fda_regulated_device"
    " is_unapproved_device is_ppsd is_us_export biospec_retention biospec_description ipd_time_frame"
    " ipd_access_criteria ipd_url plan_to_share_ipd plan_to_share_ipd_description created_at updated_at"
    " source_class delayed_posting expanded_access_nctid expanded_access_status_for_nctid"
    " fdaaa801_violation baseline_type_units_analyzed patient_registry"
)
TABLES = {
    "studies": _STUDIES,
    "brief_summaries": "id nct_id description",
    "detailed_descriptions": "id nct_id description",
    "eligibilities": "id nct_id sampling_method gender minimum_age maximum_age healthy_volunteers population"
    " criteria gender_description gender_based adult child older_adult",
    "conditions": "id nct_id name downcase_name",
    "keywords": "id nct_id name downcase_name",
    "interventions": "id nct_id intervention_type name description",
    "design_groups": "id nct_id group_type title description",
    "design_outcomes": "id nct_id outcome_type measure time_frame population description",
    "sponsors": "id nct_id agency_class lead_or_collaborator name",
    "countries": "id nct_id name removed",
    "id_information": "id nct_id id_source id_type id_type_description id_link id_value",
    "designs": "id nct_id allocation intervention_model observational_model primary_purpose time_perspective"
    " masking masking_description intervention_model_description subject_masked caregiver_masked"
    " investigator_masked outcomes_assessor_masked",
    "calculated_values": "id nct_id number_of_facilities registered_in_calendar_year actual_duration"
    " were_results_reported months_to_report_results has_us_facility has_single_facility minimum_age_num"
    " maximum_age_num minimum_age_unit maximum_age_unit number_of_primary_outcomes_to_measure"
    " number_of_secondary_outcomes_to_measure number_of_other_outcomes_to_measure",
}

Pieces = list[str]  # text, number of a slot, text, number of a slot, ..., text


@dataclass(frozen=True)
class Template:
    """A real record: both its forms with slots, and the words (places in the vocabulary) of each slot."""

    study: Pieces
    tables: dict[str, Pieces]
    words: "np.ndarray[Any, np.dtype[np.int64]]"
    ends: Sequence[int]


class Records:
    """Makes any number of records like the real ones."""

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        vocabulary: dict[str, int] = {}
        self.templates = [_template(study, vocabulary) for study in real_studies()]
        self._corpus = np.concatenate([template.words for template in self.templates])
        as_json = [json.dumps(word, ensure_ascii=False)[1:-1] for word in vocabulary]
        self._json = np.array(as_json, dtype=object)
        self._csv = np.array([word.replace('"', '""') for word in vocabulary], dtype=object)

    def study(self, number: int) -> str:
        """Record `number` as a line of v2 JSON."""
        template, words = self._words(number)
        return _filled(template.study, _slots(template, self._json[words].tolist(), _nct_id(number)))

    def rows(self, number: int) -> dict[str, str]:
        """The rows of record `number` in each AACT table that has some."""
        template, words = self._words(number)
        slots = _slots(template, self._csv[words].tolist(), _nct_id(number))
        return {table: _filled(pieces, slots) for table, pieces in template.tables.items()}

    def _words(self, number: int) -> tuple[Template, "np.ndarray[Any, np.dtype[np.int64]]"]:
        template = self.templates[number % len(self.templates)]
        rng = np.random.default_rng((self.seed, number))
        places = np.flatnonzero(rng.random(len(template.words), dtype=np.float32) < REPLACED)
        words = template.words.copy()
        words[places] = self._corpus[rng.integers(len(self._corpus), size=len(places))]
        return template, words


def write_v2(records: Records, count: int, path: Path) -> None:
    """Write the first `count` records as JSON Lines, one study a line as the API gives it."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(records.study(number))
            file.write("\n")


def write_aact(records: Records, count: int, folder: Path) -> None:
    """Write the first `count` records as AACT tables, pipe-delimited; some trials stand at the ends."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        early = {name: stack.enter_context(_table(folder / f"{name}.txt")) for name in TABLES}
        late = {name: stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for name in TABLES}
        for name, columns in TABLES.items():
            early[name].write("|".join(columns.split()) + "\n")
        for number in range(count):
            files = late if number * 2_654_435_761 % 1000 < LATE * 1000 else early
            for name, text in records.rows(number).items():
                files[name].write(text)
        for name, file in late.items():
            file.seek(0)
            while chunk := file.read(1 << 20):
                early[name].write(chunk)


def write_later(
    snapshot: Path, out: Path, *, changed: float = 0.03, new: float = 0.02, removed: float = 0.002
) -> None:
    """Write a later version of the snapshot: some trials changed, some added, some removed; unsorted."""
    rng = np.random.default_rng(0)
    with (
        pq.ParquetFile(snapshot) as file,
        pq.ParquetWriter(out, SNAPSHOT_SCHEMA, compression="zstd") as writer,
    ):
        for batch in file.iter_batches(10_000, columns=SNAPSHOT_SCHEMA.names):
            rows = pa.Table.from_batches([batch]).select(SNAPSHOT_SCHEMA.names)
            chance = rng.random(len(rows))
            kept = rows.filter(pa.array(chance >= removed + changed))
            altered = rows.filter(pa.array((chance >= removed) & (chance < removed + changed))).to_pylist()
            added = rows.filter(pa.array(rng.random(len(rows)) < new)).to_pylist()
            for row in altered:
                row["overall_status"] = "COMPLETED" if row["overall_status"] != "COMPLETED" else "TERMINATED"
                row["eligibility_criteria"] = (row["eligibility_criteria"] or "") + "\nAdded later."
            for row in added:
                row["nct_id"] = f"NCT9{row['nct_id'][4:]}"
            for row in (*altered, *added):
                row["row_hash"] = content_hash(row)
            other = pa.Table.from_pylist([*altered, *added], schema=SNAPSHOT_SCHEMA)
            writer.write_table(pa.concat_tables([kept.cast(SNAPSHOT_SCHEMA), other]))


def real_studies() -> Iterator[dict[str, Any]]:
    """The real v2 records, or those of the sample."""
    with tempfile.TemporaryDirectory() as folder:
        path = REAL
        if not path.is_file():
            path = write_sample(Path(folder), SampleSettings(studies=1200)) / "studies.jsonl.gz"
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)


def _template(study: dict[str, Any], vocabulary: dict[str, int]) -> Template:
    study = copy.deepcopy(study)
    words: list[int] = []
    ends: list[int] = []

    def slot(text: str) -> str:
        words.extend(vocabulary.setdefault(word, len(vocabulary)) for word in text.split(" "))
        ends.append(len(words))
        return f"\ue000{len(ends)}\ue001"

    study["protocolSection"]["identificationModule"]["nctId"] = "\ue0000\ue001"
    study["protocolSection"] = _with_slots(study["protocolSection"], slot)
    line = json.dumps(study, ensure_ascii=False)
    tables = {name: _SLOT.split(text) for name, text in _aact(study).items()}
    return Template(_SLOT.split(line), tables, np.array(words, np.int64), ends)


def _with_slots(value: Any, slot: Callable[[str], str]) -> Any:
    """The value with every text of four words or more replaced by a slot."""
    if isinstance(value, dict):
        return {key: _with_slots(item, slot) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_slots(item, slot) for item in value]
    return slot(value) if isinstance(value, str) and value.count(" ") >= 3 else value


def _slots(template: Template, words: list[str], nct_id: str) -> list[str]:
    starts = (0, *template.ends)
    return [nct_id, *(" ".join(words[a:b]) for a, b in zip(starts, template.ends, strict=False))]


def _filled(pieces: Pieces, slots: list[str]) -> str:
    filled = pieces.copy()
    filled[1::2] = [slots[int(number)] for number in pieces[1::2]]
    return "".join(filled)


def _nct_id(number: int) -> str:
    return f"NCT{10_000 + 11 * number:08d}"


def _table(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="")


Row = dict[str, Any]


def _module(study: dict[str, Any], name: str) -> Row:
    found: Row = study["protocolSection"].get(f"{name}Module", {})
    return found


def _flag(value: bool | None) -> str | None:
    return None if value is None else "t" if value else "f"


def _groups(study: dict[str, Any]) -> dict[str, list[Row]]:
    """The study's rows in the tables that trials are grouped by."""
    sponsors, ids = _module(study, "sponsorCollaborators"), _module(study, "identification")
    info = _module(study, "design").get("designInfo", {})
    parts = [("lead", sponsors.get("leadSponsor", {}))]
    parts += [("collaborator", entry) for entry in sponsors.get("collaborators", ())]
    places = _module(study, "contactsLocations").get("locations", ())
    countries = dict.fromkeys(place["country"] for place in places if "country" in place)
    own = [{"id_source": "org_study_id", "id_value": ids.get("orgStudyIdInfo", {}).get("id")}]
    return {
        "sponsors": [
            {"agency_class": entry.get("class"), "lead_or_collaborator": part, "name": entry.get("name")}
            for part, entry in parts
        ],
        "countries": [{"name": name, "removed": "f"} for name in countries],
        "id_information": [
            *own,
            *(
                {"id_source": "secondary_id", "id_type": entry.get("type"), "id_value": entry.get("id")}
                for entry in ids.get("secondaryIdInfos", ())
            ),
            *({"id_source": "nct_alias", "id_value": alias} for alias in ids.get("nctIdAliases", ())),
        ],
        "designs": [
            {
                "allocation": info.get("allocation"),
                "primary_purpose": info.get("primaryPurpose"),
                "masking": info.get("maskingInfo", {}).get("masking"),
            }
        ],
        "calculated_values": [
            {
                "number_of_facilities": len(places),
                "were_results_reported": _flag(study.get("hasResults")),
            }
        ],
    }


def _aact(study: dict[str, Any]) -> dict[str, str]:
    """The study's rows in each AACT table that has some, with slots."""
    out: dict[str, list[Row]] = {name: [] for name in TABLES} | _groups(study)

    def module(name: str) -> Row:
        return _module(study, name)

    status, design, eligibility = module("status"), module("design"), module("eligibility")
    out["studies"].append(
        {
            "overall_status": status.get("overallStatus"),
            "why_stopped": status.get("whyStopped"),
            "start_date": status.get("startDateStruct", {}).get("date"),
            "completion_date": status.get("completionDateStruct", {}).get("date"),
            "last_update_posted_date": status.get("lastUpdatePostDateStruct", {}).get("date"),
            "brief_title": module("identification").get("briefTitle"),
            "official_title": module("identification").get("officialTitle"),
            "study_type": design.get("studyType"),
            "phase": "/".join(design.get("phases", ())),
            "study_first_posted_date": status.get("studyFirstPostDateStruct", {}).get("date"),
            "primary_completion_date": status.get("primaryCompletionDateStruct", {}).get("date"),
            "enrollment": design.get("enrollmentInfo", {}).get("count"),
            "enrollment_type": design.get("enrollmentInfo", {}).get("type"),
            "is_fda_regulated_drug": _flag(module("oversight").get("isFdaRegulatedDrug")),
            "is_fda_regulated_device": _flag(module("oversight").get("isFdaRegulatedDevice")),
            "source": module("sponsorCollaborators").get("leadSponsor", {}).get("name"),
            "created_at": "2024-05-01 07:23:45.123456",
            "updated_at": "2024-05-01 07:23:45.123456",
        }
    )
    out["brief_summaries"].append({"description": module("description").get("briefSummary")})
    if "detailedDescription" in module("description"):
        out["detailed_descriptions"].append({"description": module("description")["detailedDescription"]})
    out["eligibilities"].append(
        {
            "gender": eligibility.get("sex"),
            "minimum_age": eligibility.get("minimumAge"),
            "maximum_age": eligibility.get("maximumAge", "N/A"),
            "healthy_volunteers": _flag(eligibility.get("healthyVolunteers")),
            "criteria": eligibility.get("eligibilityCriteria"),
        }
    )
    for name in ("conditions", "keywords"):
        terms = module("conditions").get(name, ())
        out[name] += [{"name": term, "downcase_name": term.lower()} for term in terms]
    for entry in module("armsInterventions").get("interventions", ()):
        kind, name, description = (entry.get(key) for key in ("type", "name", "description"))
        out["interventions"].append({"intervention_type": kind, "name": name, "description": description})
    for entry in module("armsInterventions").get("armGroups", ()):
        kind, title, description = (entry.get(key) for key in ("type", "label", "description"))
        out["design_groups"].append({"group_type": kind, "title": title, "description": description})
    for kind in ("primary", "secondary", "other"):
        for entry in module("outcomes").get(f"{kind}Outcomes", ()):
            row = {"measure": entry.get("measure"), "time_frame": entry.get("timeFrame")}
            out["design_outcomes"].append(
                {**row, "outcome_type": kind, "description": entry.get("description")}
            )
    return {name: _lines(name, rows) for name, rows in out.items() if rows}


def _lines(table: str, rows: list[Row]) -> str:
    columns = TABLES[table].split()
    text = io.StringIO()
    writer = csv.writer(text, delimiter="|", lineterminator="\n")
    for number, row in enumerate(rows):
        cells = {"nct_id": "\ue0000\ue001", "id": 100_000_000 + number, **row}
        writer.writerow([cells.get(column) for column in columns])
    # What fills a slot may hold line breaks, so the cell needs quotes whatever the template held.
    return re.sub(r'(?<!")(\ue000[1-9]\d*\ue001)(?!")', r'"\1"', text.getvalue())
