"""The sample registry: same seed same bytes, true labels, and tasks neither trivial nor hopeless."""

import gzip
import json
import re
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC

from trialtune.errors import UsageError
from trialtune.registry.record.schema import GROUP_COLUMNS
from trialtune.registry.sample import SampleSettings, SampleStudy, generate_studies, write_sample
from trialtune.registry.snapshot.build import import_trials

LABELS = {
    "Another_Study",
    "Business_Administrative",
    "Covid19",
    "Endpoint_Met",
    "Ethical_Reason",
    "Insufficient_Data",
    "Insufficient_Enrollment",
    "Interim_Analysis",
    "Invalid_Reason",
    "Logistics_Resources",
    "Negative",
    "No_Context",
    "Regulatory",
    "Safety_Sideeffects",
    "Study_Design",
    "Study_Staff_Moved",
    "Success",
}
MODULES = {
    "identificationModule", "statusModule", "descriptionModule", "conditionsModule", "designModule",
    "armsInterventionsModule", "outcomesModule", "eligibilityModule", "sponsorCollaboratorsModule",
    "oversightModule", "contactsLocationsModule",
}  # fmt: skip
SMALL = SampleSettings(studies=90, seed=4, dirty=9)


@pytest.fixture(scope="module")
def samples() -> list[SampleStudy]:
    return list(generate_studies(SampleSettings()))


@pytest.fixture(scope="module")
def stopped(samples: list[SampleStudy]) -> list[SampleStudy]:
    return [sample for sample in samples if sample.labels]


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample") / "new" / "folder", SMALL)


def module(sample: SampleStudy, name: str) -> dict:
    return sample.study["protocolSection"][name]


def nct_id(sample: SampleStudy) -> str:
    return module(sample, "identificationModule")["nctId"]


def reason(sample: SampleStudy) -> str:
    return module(sample, "statusModule")["whyStopped"]


def sex(sample: SampleStudy) -> str:
    return module(sample, "eligibilityModule")["sex"]


def document(sample: SampleStudy) -> str:
    identification, described = module(sample, "identificationModule"), module(sample, "descriptionModule")
    parts = [identification["briefTitle"], identification.get("officialTitle", ""), described["briefSummary"]]
    parts += [described.get("detailedDescription", ""), *module(sample, "conditionsModule")["conditions"]]
    return "\n".join([*parts, module(sample, "eligibilityModule")["eligibilityCriteria"]])


def normalized(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def best_word_f1(texts: list[str], wanted: np.ndarray) -> float:
    """F1 of the best rule "has this word" or "lacks this word"."""
    has = CountVectorizer(binary=True, token_pattern=r"\w+").fit_transform(texts).toarray()
    scores = [2 * (words.T @ wanted) / (words.sum(0) + wanted.sum()) for words in (has, 1 - has)]
    return float(np.max(scores))


def words_and_characters():
    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2),
    )


def read_lines(folder: Path) -> list[str]:
    return gzip.decompress((folder / "studies.jsonl.gz").read_bytes()).decode().splitlines()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_seed_gives_the_same_bytes_and_another_seed_others(small_folder: Path, tmp_path: Path) -> None:
    again = write_sample(tmp_path / "again", SMALL)
    other = write_sample(tmp_path / "other", SampleSettings(studies=90, seed=5, dirty=9))
    assert files_of(again) == files_of(small_folder)
    assert files_of(again)["studies.jsonl.gz"] != files_of(other)["studies.jsonl.gz"]
    assert set(files_of(again)) == {"studies.jsonl.gz", "stop_reasons.parquet", "README.txt"}


def test_records_have_the_modules_and_vocabulary_of_the_api(samples: list[SampleStudy]) -> None:
    assert len(samples) == 2400
    for sample in samples:
        assert set(sample.study["protocolSection"]) == MODULES
        assert re.fullmatch(r"NCT9\d{7}", nct_id(sample))
        assert module(sample, "armsInterventionsModule")["interventions"][0]["name"]
        assert module(sample, "outcomesModule")["primaryOutcomes"][0]["measure"]
        criteria = module(sample, "eligibilityModule")["eligibilityCriteria"]
        assert re.match(
            r"Inclusion Criteria:\n\n(\*|1\.) .+\n\nExclusion Criteria:\n\n(\*|1\.) ", criteria, re.S
        )
        assert not re.search(r"[{}|]", json.dumps(list(_strings(sample.study))))


def test_what_trials_are_grouped_by_is_filled_and_makes_sense(
    samples: list[SampleStudy], tmp_path: Path
) -> None:
    source = tmp_path / "studies.jsonl"
    source.write_text("\n".join(json.dumps(sample.study) for sample in samples), encoding="utf-8")
    summary = import_trials(source, tmp_path / "snapshot.parquet")
    assert (summary.kept, summary.unread) == (len(samples), {})
    trials = pl.read_parquet(tmp_path / "snapshot.parquet")
    optional = {"collaborators", "nct_aliases"}
    for name in set(GROUP_COLUMNS) - optional:
        assert trials[name].null_count() == 0, name
        assert trials[name].n_unique() > 1, name
    assert 0.2 < (trials["collaborators"].list.len() > 0).mean() < 0.4
    assert trials["countries"].list.len().min() == 1 and trials["countries"].list.len().max() > 3
    assert trials["sponsor_class"].n_unique() >= 5 and trials["masking"].n_unique() == 5
    kinds = {kind for ids in trials["secondary_ids"] for kind in (name.partition(":")[0] for name in ids)}
    assert kinds == {"Org Study ID", "EudraCT"}
    whole = trials.filter(pl.col("start_date").str.len_chars() == 10)
    assert (whole["primary_completion_date"] >= whole["start_date"]).all()
    assert (trials["completion_date"] >= trials["primary_completion_date"]).all()
    assert (trials["first_posted_date"] <= trials["last_update_date"]).all()
    one_arm = trials["arms"].list.len() == 1
    assert ((trials["allocation"] == "NA") == one_arm).all()
    withdrawn = trials.filter(overall_status="WITHDRAWN")
    assert withdrawn["enrollment"].sum() == 0 and not withdrawn["has_results"].any()
    running = trials.filter(pl.col("overall_status").is_in(["RECRUITING", "NOT_YET_RECRUITING"]))
    assert set(running["enrollment_type"]) == {"ESTIMATED"} and not running["has_results"].any()


def _strings(value: object):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def test_ids_and_start_dates_rise_together_from_2005_to_2026(samples: list[SampleStudy]) -> None:
    ids = [nct_id(sample) for sample in samples]
    months = [module(sample, "statusModule")["startDateStruct"]["date"][:7] for sample in samples]
    assert ids == sorted(set(ids))
    assert months == sorted(months)
    assert (months[0][:4], months[-1][:4]) == ("2005", "2026")


def test_only_stopped_trials_have_a_reason_and_labels(samples: list[SampleStudy]) -> None:
    for sample in samples:
        status = module(sample, "statusModule")
        is_stopped = status["overallStatus"] in {"TERMINATED", "WITHDRAWN", "SUSPENDED"}
        assert is_stopped == bool(sample.labels) == bool(status.get("whyStopped"))
    assert sum(bool(sample.labels) for sample in samples) == 1320


@pytest.mark.parametrize("seed", [13, 99])
def test_every_label_has_examples_and_frequencies_are_skewed(seed: int) -> None:
    made = [sample.labels for sample in generate_studies(SampleSettings(seed=seed)) if sample.labels]
    counts = Counter(label for labels in made for label in labels)
    assert set(counts) == LABELS
    assert min(counts.values()) >= 25
    assert counts.most_common(2)[0][0] == "Insufficient_Enrollment"
    assert counts.most_common(1)[0][1] > 10 * min(counts.values())
    sizes = Counter(len(labels) for labels in made)
    assert sizes[1] / len(made) == pytest.approx(0.75, abs=0.04)
    assert sizes[2] / len(made) == pytest.approx(0.20, abs=0.03)
    assert sizes[3] / len(made) == pytest.approx(0.05, abs=0.02)


def test_some_reasons_repeat_word_for_word(stopped: list[SampleStudy]) -> None:
    counts = Counter(normalized(reason(sample)) for sample in stopped)
    repeated = sum(count for count in counts.values() if count > 1) / len(stopped)
    assert 0.18 < repeated < 0.35


def test_the_pandemic_stops_no_trial_that_ended_before_it(stopped: list[SampleStudy]) -> None:
    for sample in stopped:
        if "Covid19" in sample.labels:
            assert module(sample, "statusModule")["lastUpdatePostDateStruct"]["date"] > "2020-03"


def test_no_single_word_gives_a_stop_reason_away(stopped: list[SampleStudy]) -> None:
    texts = [reason(sample) for sample in stopped]
    gold = MultiLabelBinarizer().fit_transform([sample.labels for sample in stopped])
    scores = [best_word_f1(texts, column) for column in gold.T]
    assert sum(score < 0.9 for score in scores) >= 15
    assert np.mean(scores) < 0.75


def test_stop_reasons_can_be_learned_but_not_perfectly(stopped: list[SampleStudy]) -> None:
    texts = [reason(sample) for sample in stopped]
    gold = MultiLabelBinarizer().fit_transform([sample.labels for sample in stopped])
    model = make_pipeline(words_and_characters(), OneVsRestClassifier(LinearSVC()))
    groups = [normalized(text) for text in texts]
    predicted = cross_val_predict(model, texts, gold, groups=groups, cv=GroupKFold(3))
    assert 0.6 < f1_score(gold, predicted, average="micro") < 0.93


def test_sexes_come_in_their_shares(samples: list[SampleStudy]) -> None:
    shares = Counter(sex(sample) for sample in samples)
    assert {name: round(count / len(samples), 2) for name, count in shares.items()} == {
        "ALL": 0.70,
        "FEMALE": 0.16,
        "MALE": 0.14,
    }


def test_no_single_word_gives_the_sex_away(samples: list[SampleStudy]) -> None:
    texts = [document(sample) for sample in samples]
    gold = np.array([sex(sample) for sample in samples])
    assert (
        np.mean([best_word_f1(texts, (gold == name).astype(int)) for name in ("ALL", "FEMALE", "MALE")]) < 0.8
    )


def test_sex_can_be_learned_but_not_perfectly(samples: list[SampleStudy]) -> None:
    texts = [document(sample) for sample in samples]
    gold = [sex(sample) for sample in samples]
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    model = make_pipeline(vectors, LinearSVC(class_weight="balanced"))
    groups = [normalized(text) for text in texts]
    predicted = cross_val_predict(model, texts, gold, groups=groups, cv=GroupKFold(3))
    assert 0.6 < f1_score(gold, predicted, average="macro") < 0.93


def test_bodies_are_long_varied_and_hardly_ever_alike(samples: list[SampleStudy]) -> None:
    texts = [document(sample) for sample in samples]
    assert 180 < statistics.median(len(text.split()) for text in texts) < 340
    assert len(set(texts)) == len(texts)
    conditions = {module(sample, "conditionsModule")["conditions"][0] for sample in samples}
    assert len(conditions) >= 60


def test_each_kind_of_dirt_is_in_the_file(small_folder: Path) -> None:
    lines = read_lines(small_folder)
    assert len(lines) == SMALL.studies
    broken, studies = 0, []
    for line in lines:
        try:
            studies.append(json.loads(line)["protocolSection"])
        except json.JSONDecodeError:
            broken += 1
    ids = [study["identificationModule"].get("nctId") for study in studies]
    assert broken == 1
    assert ids.count(None) == 1
    assert sum(bool(value) and not re.fullmatch(r"NCT\d{8}", value) for value in ids) == 1
    assert sorted(Counter(filter(None, ids)).values())[-2:] == [1, 2]
    assert sum("descriptionModule" not in study for study in studies) == 1
    assert sum(study["eligibilityModule"]["sex"] not in {"ALL", "FEMALE", "MALE"} for study in studies) == 1
    criteria = [study["eligibilityModule"].get("eligibilityCriteria", "") for study in studies]
    for mark in ("\x00", "&nbsp;", "\n      "):
        assert sum(mark in text for text in criteria) == 1


def test_no_dirt_on_demand(tmp_path: Path) -> None:
    settings = SampleSettings(studies=12, dirty=0)
    lines = read_lines(write_sample(tmp_path, settings))
    assert [json.loads(line) for line in lines] == [sample.study for sample in generate_studies(settings)]


def test_label_file_holds_true_labels_of_usable_trials_and_no_text(small_folder: Path) -> None:
    frame = pl.read_parquet(small_folder / "stop_reasons.parquet")
    truth = {nct_id(sample): list(sample.labels) for sample in generate_studies(SMALL) if sample.labels}
    assert frame.schema == {"nct_id": pl.String, "labels": pl.List(pl.String)}
    assert all(truth[row["nct_id"]] == row["labels"] for row in frame.iter_rows(named=True))
    assert 0 <= len(truth) - len(frame) <= 6


def test_readme_says_that_the_data_are_made_up(small_folder: Path) -> None:
    assert "made up" in (small_folder / "README.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("studies, dirty", [(0, 0), (10, 6), (10, -1)])
def test_impossible_settings_are_refused(studies: int, dirty: int) -> None:
    with pytest.raises(UsageError):
        SampleSettings(studies=studies, dirty=dirty)


@pytest.mark.parametrize("studies", [1, 2, 7])
def test_tiny_samples_work(studies: int) -> None:
    assert len(list(generate_studies(SampleSettings(studies=studies, dirty=0)))) == studies
