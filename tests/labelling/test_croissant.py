"""`croissant.json`: loaded and read by MLCommons' own library, against what Polars reads."""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import mlcroissant
import polars as pl
import pytest
from jsonpath_rw import parse as parse_path

from trialtune.labelling.croissant import CROISSANT
from trialtune.labelling.publication import Publication
from trialtune.registry.snapshot.build import import_trials
from trialtune.reports.data_card import DATA_CARD
from trialtune.stages.apply import LabelSettings, label_registry
from trialtune.tasks.catalog import load_task

ODD = (
    'It\'s "x": é/ü [a]',
    "100% #1 <b>",
    "back\\slash",
    "{braces} & more",
    "naïve — 日本",
    "- dash, comma: | ?",
)


def make_snapshot(path: Path, texts: dict[int, str], **more: str) -> Path:
    """A snapshot whose trials have these texts as reasons for stopping; "" for none."""
    rows = [
        {"nct_id": f"NCT{number:08d}", "brief_title": f"Trial {number}", "why_stopped": text}
        for number, text in texts.items()
    ]
    pl.DataFrame(rows).write_csv(path.with_suffix(".csv"))
    import_trials(path.with_suffix(".csv"), path, **{"data_timestamp": "2026-07-01T09:00:05Z"} | more)
    return path


REASONS = {
    n: "" if n % 4 == 0 else f"slow recruitment, funding ran out; adverse events {n % 6}"
    for n in range(1, 24)
}


@pytest.fixture(scope="module")
def classifier(make_classifier, tmp_path_factory) -> Path:
    return make_classifier("stop-reasons", tmp_path_factory.mktemp("classifier") / "clf")


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return make_snapshot(tmp_path / "snapshot.parquet", REASONS)


def opened(out: Path, caplog: pytest.LogCaptureFixture) -> mlcroissant.Dataset:
    """The data set as mlcroissant opens it, which has nothing to say against it."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        found = mlcroissant.Dataset(jsonld=out / CROISSANT)
    assert not found.metadata.ctx.issues.errors and not found.metadata.ctx.issues.warnings
    assert not caplog.records
    return found


def plain(value: Any) -> Any:
    """A value of a record without what mlcroissant makes of it: bytes for texts, ids for names."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: plain(one) for name, one in value.items()}
    return value


def of_nothing(value: Any) -> Any:
    """A row of Polars as mlcroissant gives one: a null struct is a struct of nulls, in a list too."""
    if isinstance(value, dict):
        return {quote(name, safe=""): of_nothing(one) for name, one in value.items()}
    return [of_nothing(one) for one in value] if isinstance(value, list) else value


def check_records(out: Path, data: mlcroissant.Dataset) -> pl.DataFrame:
    """Every record equals the row that Polars reads."""
    rows = pl.read_parquet(out / "labels" / "*.parquet")
    empty = {
        name: {quote(one.name, safe=""): None for one in kind.fields}
        for name, kind in rows.schema.items()
        if isinstance(kind, pl.Struct)
    }
    if "evidence" in rows.columns:
        empty["evidence"] = [dict.fromkeys(("label", "text", "start", "end"))]
    records = [plain(record) for record in data.records("trials")]
    expected = [
        {name: empty.get(name) if cell is None else of_nothing(cell) for name, cell in row.items()}
        for row in rows.iter_rows(named=True)
    ]
    assert records == expected
    return rows


@pytest.mark.parametrize("shard_rows", [7, 1000])
def test_mlcroissant_reads_what_polars_reads(classifier, snapshot, tmp_path, caplog, shard_rows) -> None:
    out = tmp_path / "out"
    settings = LabelSettings(shard_rows=shard_rows, evidence=True, crosswalks=("open_targets", "fhir"))
    summary = label_registry(classifier, snapshot, out, settings=settings)
    data = opened(out, caplog)
    rows = check_records(out, data)
    assert len(list((out / "labels").iterdir())) == (4 if shard_rows == 7 else 1)
    assert len(rows) == 23 and rows["text"].null_count() == summary.without_text == 5
    assert rows["needs_review"].null_count() == 5 and rows["evidence"].null_count() == 5
    [included] = [one["includes"] for one in stated(out)["distribution"] if one["@type"] == "cr:FileSet"]
    counted = duckdb.sql(f"select count(*), count(labels) from '{out / included}'").fetchall()
    assert counted == [(summary.trials, summary.labelled)]
    task = load_task("stop-reasons")
    said = [plain(one) for one in data.records("definitions")]
    assert said == [{"name": name, "description": meaning} for name, meaning in task.labels.items()]
    probabilities = stated(out)["fields"]["probabilities"]
    assert {one["name"]: one["description"] for one in probabilities["subField"]} == dict(task.labels)


def stated(out: Path) -> dict[str, Any]:
    """The file, with its files and fields by name."""
    found = json.loads((out / CROISSANT).read_text(encoding="utf-8"))
    files = {one["contentUrl"]: one for one in found["distribution"] if one["@type"] == "cr:FileObject"}
    return {**found, "files": files, "fields": {one["name"]: one for one in found["recordSet"][0]["field"]}}


def test_sizes_and_checksums_are_those_of_the_files(classifier, snapshot, tmp_path, caplog) -> None:
    out, settings = tmp_path / "out", LabelSettings(shard_rows=7)

    def check() -> None:
        found = stated(out)["files"]
        assert set(found) == {f"labels/{part.name}" for part in (out / "labels").iterdir()}
        for name, said in found.items():
            content = (out / name).read_bytes()
            assert said["sha256"] == hashlib.sha256(content).hexdigest()
            assert said["contentSize"] == f"{len(content)} B"
        check_records(out, opened(out, caplog))

    label_registry(classifier, snapshot, out, settings=settings)
    check()
    before = [(out / name).read_bytes() for name in (CROISSANT, DATA_CARD)]
    label_registry(classifier, snapshot, out, settings=settings)  # nothing new
    assert [(out / name).read_bytes() for name in (CROISSANT, DATA_CARD)] == before
    fewer = make_snapshot(
        tmp_path / "fewer.parquet", {n: REASONS[n] for n in range(1, 11)} | {40: "a new one"}
    )
    assert label_registry(classifier, fewer, out, settings=settings).scored == 1
    check()
    assert len(stated(out)["files"]) == 2
    alone = tmp_path / "elsewhere"
    shutil.copytree(out, alone)
    check_records(alone, opened(alone, caplog))


def test_it_bears_the_date_of_the_data_and_the_classifier(classifier, snapshot, tmp_path, caplog) -> None:
    out = tmp_path / "out"
    given = Publication(license="CC-BY-4.0", creator="Trials & {Co}", url="https://example.org/labels")
    summary = label_registry(classifier, snapshot, out, settings=LabelSettings(publication=given))
    metadata, mark = opened(out, caplog).metadata, summary.classifier.fingerprint
    assert metadata.date_published.isoformat() == "2026-07-01T00:00:00"
    assert metadata.version == f"2026.7.1+{mark}"
    assert metadata.license == [
        "https://spdx.org/licenses/CC-BY-4.0",
        "https://clinicaltrials.gov/about-site/terms-conditions",
    ]
    assert metadata.url == "https://example.org/labels"
    assert [one.name for one in metadata.creators] == ["Trials & {Co}"]
    assert metadata.cite_as.startswith("@misc{") and r"author = {Trials \& \{Co\}}" in metadata.cite_as
    assert any(mark in tool for tool in metadata.machine_annotation_tools)
    found = stated(out)
    assert found["prov:wasDerivedFrom"]["prov:label"].endswith("data of 2026-07-01T09:00:05Z")
    assert mark in found["fields"]["labels"]["prov:wasAttributedTo"]["prov:label"]
    assert "prov:wasAttributedTo" not in found["fields"]["text"]
    assert str(tmp_path) not in (out / CROISSANT).read_text()


def test_a_date_that_is_none_is_left_out(classifier, tmp_path, caplog) -> None:
    snapshot = make_snapshot(tmp_path / "s.parquet", REASONS, data_timestamp="last spring")
    label_registry(classifier, snapshot, tmp_path / "out")
    with caplog.at_level(logging.WARNING):
        found = mlcroissant.Dataset(jsonld=tmp_path / "out" / CROISSANT)
    said = "\n".join(sorted(found.metadata.ctx.issues.warnings))
    assert "datePublished" in said and "version" in said
    assert found.metadata.version is None and found.metadata.date_published is None
    assert not found.metadata.ctx.issues.errors


@pytest.mark.parametrize("kind", ["multi_label", "multi_class"])
def test_labels_may_have_any_name(make_classifier, tmp_path, caplog, kind) -> None:
    declared = tmp_path / "own.yaml"
    declared.write_text(
        json.dumps({"name": "own", "kind": kind, "labels": dict.fromkeys(ODD, ""), "text": ["brief_title"]})
    )
    task = load_task(declared)
    folder = make_classifier(task, tmp_path / "clf")
    snapshot = make_snapshot(tmp_path / "s.parquet", dict.fromkeys(range(1, 9), ""))
    label_registry(folder, snapshot, tmp_path / "out")
    rows = check_records(tmp_path / "out", opened(tmp_path / "out", caplog))
    assert rows["labels"].list.len().sum() > 0
    fields = stated(tmp_path / "out")["fields"]["probabilities"]["subField"]
    assert [one["name"] for one in fields] == list(ODD)
    for one in fields:
        [found] = parse_path(one["source"]["transform"]["jsonPath"]).find(
            dict.fromkeys(ODD, 0) | {one["name"]: 1}
        )
        assert found.value == 1


@pytest.mark.parametrize("wrong", [{"license": "my own licence"}, {"url": "example.org"}, {"creator": ""}])
def test_what_cannot_be_published_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Publication(**wrong)
