"""A labelled registry: the labels of plain prediction, resumed after a kill to the byte, kept up to date."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.crosswalk_columns import crosswalks_for, with_crosswalks
from trialtune.classifier.named import open_folder
from trialtune.errors import DataError, UsageError
from trialtune.labelling import plan, shards
from trialtune.labelling.summary import LabellingSummary
from trialtune.registry.snapshot.build import import_trials
from trialtune.stages import apply
from trialtune.stages.apply import LabelSettings, label_registry
from trialtune.tasks.catalog import load_task

WORDS = "slow recruitment funding ran out safety concern lack of efficacy sponsor decision adverse".split()
SMALL = LabelSettings(shard_rows=7)


def make_snapshot(path: Path, reasons: dict[int, str]) -> Path:
    """A snapshot, out of order, whose trials have these reasons for stopping."""
    rows = [
        {
            "nct_id": f"NCT{number:08d}",
            "brief_title": f"Trial {number}",
            "why_stopped": reason,
            "start_date": f"20{10 + number % 3}-01-01",
            "phases": "PHASE2",
            "sponsor_class": ["INDUSTRY", "NIH", ""][number % 3],
            "countries": ["", "Peru", "France|Peru"][number % 3],
        }
        for number, reason in sorted(reasons.items(), key=lambda item: -item[0])
    ]
    pl.DataFrame(rows).write_csv(path.with_suffix(".csv"))
    import_trials(path.with_suffix(".csv"), path, data_timestamp="2026-01-01T00:00:00Z")
    return path


def reasons(count: int = 60) -> dict[int, str]:
    """Every third reason is said twice, every fifth trial has none."""
    rng = np.random.default_rng(3)
    said = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) + f" {number}" for number in range(count)]
    return {number: "" if number % 5 == 0 else said[number - number % 3 // 2] for number in range(1, count)}


def labelled(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "labels" / "*.parquet")


def footer(out: Path) -> dict[bytes, bytes]:
    metadata: dict[bytes, bytes] = pq.read_schema(out / "labels" / "part-00000.parquet").metadata
    return metadata


def content(out: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()
    }


@pytest.fixture(scope="module")
def classifier(make_classifier, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("classifier") / "clf"
    return make_classifier("stop-reasons", folder)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return make_snapshot(tmp_path / "snapshot.parquet", reasons())


def test_a_large_snapshot_is_read_by_several_processes(classifier, snapshot, tmp_path, monkeypatch) -> None:
    label_registry(classifier, snapshot, tmp_path / "one", settings=SMALL)
    for name, value in (("LARGE", 10), ("READ_ROWS", 9), ("cores", lambda: 2)):
        monkeypatch.setattr(plan, name, value)
    totals: dict[str, int] = {}

    @contextmanager
    def bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
        counts: list[int] = []
        yield counts.append
        assert sum(counts) == total
        totals[label] = total

    summary = label_registry(classifier, snapshot, tmp_path / "two", settings=SMALL, bar=bar)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert totals == {"reading trials": summary.trials, "scoring texts": summary.scored}


def test_the_labels_of_plain_prediction_by_nct_id(classifier, snapshot, tmp_path) -> None:
    summary = label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL)
    every = labelled(tmp_path / "out")
    assert every["nct_id"].to_list() == [f"NCT{number:08d}" for number in sorted(reasons())]
    found = every.filter(pl.col("text").is_not_null())
    assert every.filter(pl.col("text").is_null())["labels"].null_count() == summary.without_text
    with_reason = {f"NCT{number:08d}": reason for number, reason in reasons().items() if reason}
    assert found["nct_id"].to_list() == sorted(with_reason)
    texts = [with_reason[key] for key in sorted(with_reason)]
    plain = Classifier.from_pretrained(classifier).predict_frame(pl.DataFrame({"text": texts}))
    assert found["labels"].to_list() == plain["labels"].to_list()
    assert found["needs_review"].to_list() == plain["needs_review"].to_list()
    ours, theirs = (frame["probabilities"].struct.unnest().to_numpy() for frame in (found, plain))
    np.testing.assert_allclose(ours, theirs, atol=0.02)  # bf16, other batches
    distinct = len(set(with_reason.values()))
    assert found["text_hash"].n_unique() == summary.distinct_texts == summary.scored == distinct
    assert distinct < summary.labelled == summary.trials - summary.without_text
    for counts in (summary.year, summary.phase, summary.sponsor_class):
        assert sum(row["trials"] for row in counts.values()) == summary.labelled
    thirds = [
        [number for number, reason in reasons().items() if reason and number % 3 == n] for n in range(3)
    ]
    none, one, two = map(len, thirds)
    assert {kind: row["trials"] for kind, row in summary.sponsor_class.items()} == {
        "INDUSTRY": none,
        "NIH": one,
        "not given": two,
    }
    assert {kind: row["trials"] for kind, row in summary.country.items()} == {
        "France": two,
        "Peru": one + two,
        "not given": none,
    }
    given = found.filter(pl.col("nct_id").is_in([f"NCT{number:08d}" for number in thirds[2]]))["labels"]
    assert (
        sum(n for kind, n in summary.country["France"].items() if kind != "trials") == given.list.len().sum()
    )
    page = (tmp_path / "out" / "summary.html").read_text()
    assert "By class of the lead sponsor" in page and "a trial counts in each of its countries" in page
    assert LabellingSummary.load(tmp_path / "out" / "summary.json") == summary
    assert sum(summary.label.values()) == found["labels"].list.len().sum()
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary.model_dump(mode="json")
    assert "<svg" in (tmp_path / "out" / "summary.html").read_text()
    record = json.loads((tmp_path / "out" / "apply.json").read_text())
    assert found["classifier"].unique().to_list() == [record["classifier"]["fingerprint"]]
    metadata = pq.read_schema(tmp_path / "out" / "labels" / "part-00000.parquet").metadata
    assert metadata[b"trialtune.classifier"].decode() == record["classifier"]["fingerprint"]
    assert not list(tmp_path.glob(".*.work"))


def test_duckdb_reads_the_struct(classifier, snapshot, tmp_path) -> None:
    label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL)
    glob = tmp_path / "out" / "labels" / "*.parquet"
    query = f"select count(*) from '{glob}' where probabilities.Negative between 0 and 1 and len(labels) > 0"
    assert duckdb.sql(query).fetchall() == [(len(labelled(tmp_path / "out").drop_nulls("labels")),)]


def test_a_kill_between_shards_changes_no_byte(classifier, snapshot, tmp_path) -> None:
    label_registry(classifier, snapshot, tmp_path / "whole", settings=SMALL)
    # The command itself, slowed between shards so that the signal meets it there.
    script = (
        "import sys, time\n"
        "from trialtune.labelling import shards\n"
        "score = shards.Scorer.score\n"
        "shards.Scorer.score = lambda *a: (score(*a), time.sleep(0.4))[0]\n"
        "from trialtune.cli import main\n"
        f"sys.argv = ['trialtune', 'apply', {str(classifier)!r}, {str(snapshot)!r},"
        f" '--out', {str(tmp_path / 'out')!r}, '--shard-rows', '7']\n"
        "main()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ)
    work = tmp_path / ".out.work"
    while len(list(work.glob("scores-*.parquet"))) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    scored = len(list(work.glob("scores-*.parquet")))
    assert scored >= 2 and not (tmp_path / "out").exists()
    told: list[str] = []
    summary = label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL, tell=told.append)
    assert f"{scored} shards are scored" in told[0]
    assert summary.scored > 7 * scored
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_kill_between_two_renames_loses_nothing(classifier, snapshot, tmp_path) -> None:
    label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL)
    (tmp_path / "out").rename(tmp_path / ".out.1.old")
    (tmp_path / ".out.1.tmp").mkdir()
    assert label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL).scored == 0
    assert {entry.name for entry in tmp_path.iterdir()} == {"out", "snapshot.csv", "snapshot.parquet"}


def test_a_note_beside_the_weights_makes_no_other_classifier(make_classifier, tmp_path) -> None:
    folder = make_classifier("stop-reasons", tmp_path / "clf")
    before = open_folder(folder).fingerprint
    (folder / "scores.json").write_text("{}")
    assert open_folder(folder).fingerprint == before
    decision = open_folder(folder).decision
    replace(decision, review_below=0.1).save(folder)
    assert open_folder(folder).fingerprint != before


def test_only_what_is_new_or_changed_is_scored(classifier, tmp_path) -> None:
    old = reasons()
    now = {number: reason for number, reason in old.items() if number > 4}
    now |= {7: "funding changed", 90: "a new sponsor decision", 91: old[8]}
    first = make_snapshot(tmp_path / "old.parquet", old)
    second = make_snapshot(tmp_path / "new.parquet", now)
    label_registry(classifier, first, tmp_path / "out", settings=SMALL)
    full = label_registry(classifier, second, tmp_path / "full", settings=SMALL)
    since = LabelSettings(shard_rows=7, since=tmp_path / "out")
    counted = label_registry(classifier, second, tmp_path / "next", settings=since, dry_run=True)
    assert not (tmp_path / "next").exists()
    label_registry(classifier, second, tmp_path / "next", settings=since)
    summary = label_registry(classifier, second, tmp_path / "out", settings=SMALL)
    assert summary.scored == counted.scored == 2
    assert (summary.new, summary.changed, summary.gone) == (
        2,
        1,
        sum(map(bool, list(old.values())[:4])),
    )
    assert content(tmp_path / "next" / "labels") == content(tmp_path / "out" / "labels")
    for group in ("label", "year", "phase", "sponsor_class", "country"):
        assert getattr(summary, group) == getattr(full, group)
    ours, theirs = labelled(tmp_path / "out"), labelled(tmp_path / "full")
    assert ours.drop("probabilities").equals(theirs.drop("probabilities"))
    numbers = [frame["probabilities"].struct.unnest().to_numpy() for frame in (ours, theirs)]
    np.testing.assert_allclose(*numbers, atol=0.02)
    again = label_registry(classifier, second, tmp_path / "out", settings=SMALL)
    assert again.scored == 0 and labelled(tmp_path / "out").equals(ours)


def test_other_crosswalks_change_columns_and_score_nothing(classifier, snapshot, tmp_path) -> None:
    out, told = tmp_path / "out", []
    plain = label_registry(classifier, snapshot, out, settings=SMALL)
    before = labelled(out)
    assert plain.crosswalks == () and b"trialtune.crosswalks" not in footer(out)

    def crosswalked(*names: str) -> LabellingSummary:
        asked = LabelSettings(shard_rows=7, crosswalks=names)
        return label_registry(classifier, snapshot, out, settings=asked, tell=told.append)

    for names in (("open_targets",), ("scientific", "fhir")):
        summary = crosswalked(*names)
        assert summary.scored == 0 and summary.unchanged == plain.labelled
        assert [one.name for one in summary.crosswalks] == list(names)
        found = labelled(out)
        chosen = crosswalks_for(load_task("stop-reasons"), names)
        assert found.equals(with_crosswalks(before, chosen, "multi_label"))
        stated = json.loads(footer(out)[b"trialtune.crosswalks"])
        assert stated == json.loads((out / "apply.json").read_text())["crosswalks"]
        assert stated == [
            {"name": one.name, "version": one.version, "fingerprint": one.fingerprint} for one in chosen
        ]
    query = "select count(*) from '{}' where fhir_probabilities.\"no-code\" > 0 and len(fhir) > 0"
    assert duckdb.sql(query.format(out / "labels" / "*.parquet")).fetchall() == [(plain.labelled,)]
    assert told == [
        f"{out} has columns of the crosswalks open_targets, which are not among the settings: the new output"
        " does not have them"
    ]
    label_registry(classifier, snapshot, out, settings=SMALL, tell=told.append)
    assert "crosswalks scientific, fhir" in told[1] and labelled(out).equals(before)


def test_a_stopped_run_goes_on_with_other_crosswalks(classifier, snapshot, tmp_path, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    whole = LabelSettings(shard_rows=7, crosswalks=("fhir",))
    label_registry(classifier, snapshot, tmp_path / "whole", settings=whole)
    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(apply, "write_parts", broken)
        asked = LabelSettings(shard_rows=7, crosswalks=("open_targets",))
        label_registry(classifier, snapshot, tmp_path / "out", settings=asked)
    told: list[str] = []
    label_registry(classifier, snapshot, tmp_path / "out", settings=whole, tell=told.append)
    assert "resuming" in told[0] and content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_crosswalk_that_does_not_fit_is_refused_before_the_work(classifier, snapshot, tmp_path) -> None:
    for name, said in (("open_target", "did you mean 'open_targets'"), ("mine.yaml", "no such file")):
        with pytest.raises(UsageError, match=said):
            asked = LabelSettings(crosswalks=(name,))
            label_registry(classifier, snapshot, tmp_path / "out", settings=asked)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*.work"))


def test_another_classifier_scores_all_again(classifier, snapshot, tmp_path, make_classifier) -> None:
    label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL)
    other = make_classifier("stop-reasons", tmp_path / "other", seed=2)
    told: list[str] = []
    summary = label_registry(other, snapshot, tmp_path / "out", settings=SMALL, tell=told.append)
    assert "another classifier" in told[0] and summary.reused == 0


def test_evidence_is_kept_and_never_mixed_with_rows_that_lack_it(classifier, tmp_path) -> None:
    told: list[str] = []

    def apply(snapshot: Path, out: Path, **more) -> LabellingSummary:
        settings = LabelSettings(shard_rows=7, **more)
        return label_registry(classifier, snapshot, out, settings=settings, tell=told.append)

    old = reasons() | {number: f"funding ran out, slow recruitment {number}" for number in range(61, 70)}
    first = make_snapshot(tmp_path / "old.parquet", old)
    second = make_snapshot(tmp_path / "new.parquet", old | {90: "adverse events; a sponsor decision"})
    out = tmp_path / "out"
    apply(first, out)
    assert "evidence" not in labelled(out).columns
    assert apply(first, out, evidence=True).reused == 0
    assert "no evidence: all texts are scored again" in told[-1]
    before = {row["text_hash"]: row["evidence"] for row in labelled(out).to_dicts()}
    assert (before[None] is None) and any(
        one["text"] != row["text"]
        for row in labelled(out).drop_nulls("text").to_dicts()
        for one in row["evidence"]
    )
    for part in (out / "labels").glob("*.parquet"):
        assert pq.read_schema(part).metadata[b"trialtune.evidence"] == b"true"
    assert json.loads((out / "apply.json").read_text())["evidence"] is True
    assert apply(second, out, evidence=True).scored == 1
    after = {row["text_hash"]: row["evidence"] for row in labelled(out).to_dicts()}
    assert {key: after[key] for key in before} == before and len(after) == len(before) + 1
    assert all(after[key] for key in after if key)
    assert apply(second, out).scored == 0
    assert "evidence, which is left out" in told[-1]
    assert "evidence" not in labelled(out).columns
    assert b"trialtune.evidence" not in pq.read_schema(out / "labels" / "part-00000.parquet").metadata


def test_a_stopped_run_goes_on_only_to_the_same_columns(classifier, snapshot, tmp_path, monkeypatch) -> None:
    score = shards.Scorer.score

    def stopped(self, shard, progress=None):
        if shard == 2:
            raise KeyboardInterrupt
        return score(self, shard, progress)

    told: list[str] = []

    def apply(name: str, evidence: bool) -> None:
        settings = LabelSettings(shard_rows=7, evidence=evidence)
        label_registry(classifier, snapshot, tmp_path / name, settings=settings, tell=told.append)

    for name in ("with", "without", "resumed"):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(shards.Scorer, "score", stopped)
            apply(name, evidence=name != "with")
    apply("with", evidence=True)
    apply("without", evidence=False)
    assert not told
    apply("resumed", evidence=True)
    assert "2 shards are scored" in told[-1]
    assert content(tmp_path / "resumed") == content(tmp_path / "with")
    ours, theirs = labelled(tmp_path / "with"), labelled(tmp_path / "without")
    assert ours.drop("evidence").equals(theirs)


def test_sex_is_asked_of_every_trial(make_classifier, snapshot, tmp_path) -> None:
    sex = make_classifier("sex", tmp_path / "sex")
    summary = label_registry(sex, snapshot, tmp_path / "out", settings=SMALL)
    assert summary.labelled == summary.trials == sum(summary.label.values())


def test_labels_of_another_task_are_not_replaced(classifier, snapshot, tmp_path, make_classifier) -> None:
    out = tmp_path / "stop-reasons"
    label_registry(classifier, snapshot, out, settings=SMALL)
    before = content(out)
    sex = make_classifier("sex", tmp_path / "other")
    for settings in (SMALL, LabelSettings(since=out)):
        with pytest.raises(UsageError, match=r"labels of the task stop-reasons.* of sex.* such as .*/sex$"):
            label_registry(sex, snapshot, out, settings=settings)
    with pytest.raises(UsageError, match="stop-reasons"):
        label_registry(sex, snapshot, out, settings=SMALL, dry_run=True)
    assert content(out) == before


def test_texts_in_a_column_that_is_not_read(classifier, tmp_path) -> None:
    rows = pl.DataFrame({"nct_id": ["NCT00000001", "NCT00000002"], "text": ["Slow accrual", None]})
    mixed = rows.with_columns(why_stopped=pl.Series([None, "Funding ended"]))
    for name, table in (("texts", rows), ("mixed", mixed)):
        table.write_csv(tmp_path / f"{name}.csv")
        import_trials(tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=r"none of its 1 trials.* 1 have one in the column text.*--input"):
        label_registry(classifier, tmp_path / "texts.parquet", tmp_path / "out")
    told: list[str] = []
    label_registry(classifier, tmp_path / "mixed.parquet", tmp_path / "out", tell=told.append)
    assert any("1 of the trials without a text" in line for line in told)


def test_bad_input_is_told_before_the_work(classifier, snapshot, tmp_path, make_classifier) -> None:
    out = tmp_path / "out"
    nothing = make_snapshot(tmp_path / "nothing.parquet", {1: "", 2: ""})
    with pytest.raises(DataError, match="none of its 2 trials has a text"):
        label_registry(classifier, nothing, out, settings=SMALL)
    (tmp_path / "table.csv").write_text("wrong\n1\n")
    with pytest.raises(DataError, match="not a Parquet file"):
        label_registry(classifier, tmp_path / "table.csv", tmp_path / "out", settings=SMALL)
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "wrong.parquet")
    with pytest.raises(DataError, match="it has no column"):
        label_registry(classifier, tmp_path / "wrong.parquet", out, settings=SMALL)
    with pytest.raises(DataError, match=r"not an output of `trialtune apply`"):
        label_registry(classifier, snapshot, out, settings=LabelSettings(since=tmp_path))
    with pytest.raises(UsageError, match="not written by"):
        label_registry(classifier, snapshot, tmp_path, settings=SMALL)
    other = make_classifier("sex", tmp_path / "other")
    (other / ".trialtune").touch()
    for mine, said in ((other, "would replace"), (classifier, "is not an output of apply")):
        with pytest.raises(UsageError, match=said):
            label_registry(mine, snapshot, other, settings=SMALL)
    with pytest.raises(UsageError, match="choose one of local, ray"):
        label_registry(classifier, snapshot, out, settings=LabelSettings(engine="spark"))
    broken = make_classifier("stop-reasons", tmp_path / "broken")
    for name in ("model.safetensors", "decision.json", "task.json"):
        kept = (broken / name).read_bytes()
        (broken / name).unlink()
        with pytest.raises(DataError, match="broken"):
            label_registry(broken, snapshot, out, settings=SMALL)
        (broken / name).write_bytes(kept)
    assert not out.exists()


def test_a_task_that_reads_a_number_is_refused(make_classifier, snapshot, tmp_path) -> None:
    declared = tmp_path / "size.yaml"
    declared.write_text(
        "name: size\nkind: multi_class\nlabels: [big, small]\ntext: [brief_title, enrollment]\n"
    )
    folder = make_classifier(load_task(str(declared)), tmp_path / "clf")
    with pytest.raises(
        DataError, match=r"its column enrollment, which the task size uses, does not hold text"
    ):
        label_registry(folder, snapshot, tmp_path / "out", settings=SMALL)
    declared.write_text(
        "name: place\nkind: multi_class\nlabels: [near, far]\ntext: [brief_title, countries]\n"
    )
    folder = make_classifier(load_task(str(declared)), tmp_path / "places")
    summary = label_registry(folder, snapshot, tmp_path / "out", settings=SMALL)
    assert summary.labelled == summary.trials


def test_an_output_of_another_version_is_not_built_on(classifier, snapshot, tmp_path) -> None:
    label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL)
    record = tmp_path / "out" / "apply.json"
    record.write_text(record.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DataError, match="written by another version"):
        label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL)


def test_an_output_with_a_lost_part_is_not_built_on(classifier, snapshot, tmp_path) -> None:
    label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL)
    next((tmp_path / "out" / "labels").glob("*.parquet")).unlink()
    with pytest.raises(DataError, match="is incomplete"):
        label_registry(classifier, snapshot, tmp_path / "out", settings=SMALL)


def test_ray_gives_the_same(classifier, snapshot, tmp_path) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    label_registry(classifier, snapshot, tmp_path / "local", settings=SMALL)
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    try:
        label_registry(
            classifier, snapshot, tmp_path / "ray", settings=LabelSettings(engine="ray", shard_rows=7)
        )
    finally:
        ray.shutdown()
    assert content(tmp_path / "ray") == content(tmp_path / "local")


def test_without_ray_the_extra_is_named(classifier, snapshot, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"trialtune\[ray\]"):
        label_registry(classifier, snapshot, tmp_path / "out", settings=LabelSettings(engine="ray"))
