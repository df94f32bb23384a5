"""Training data of the shipped classifiers, from a folder of real trials and the files in this folder.

    python rows.py --data ../shared/data --out runs/models

Writes, for `stop_reasons` and `sex` each, `*.parquet` (labelled rows), `*_calibration.parquet` (a tenth of
them, which tune the decision) and `*_more.parquet` (texts labelled only by the teachers, none
of them made of a calibration row: a classifier trained on those would be overconfident); then
`sex_test.parquet` (1,600 rows never used for training), and `vocabulary.parquet` (all of these texts but
the test). Of the held-out stop reasons (`stop_reasons_dev.parquet`) nothing is used.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import polars as pl
from compose import compose

from trialtune.classifier.prediction import text_hash
from trialtune.dataset.overlap import drop_overlap
from trialtune.dataset.reading import read_examples
from trialtune.dataset.splits import split_examples
from trialtune.registry.snapshot.build import import_trials
from trialtune.tasks.catalog import load_task
from trialtune.tasks.text import normalize_text

HERE = Path(__file__).parent
STOP, SEX = load_task("stop-reasons"), load_task("sex")
SCHEMA = {"nct_id": pl.String(), "text": pl.String(), "labels": pl.List(pl.String())}
COMPOSED = 100_000
TITLES = 12_000  # trials of AACT of which only the titles are used
# Parts of a record that may be all there is, and how often each is drawn.
PARTS = (
    (0.3, ("brief_title", "conditions")),
    (0.6, ("brief_title", "brief_summary")),
    (0.8, ("eligibility_criteria",)),
    (1.0, ("brief_title", "eligibility_criteria")),
)


def stop_rows(data: Path) -> pl.DataFrame:
    """Hand-labelled real reasons, later ones labelled for this, and synthetic ones."""
    train = pl.read_parquet(data / "stop_reasons_train.parquet").select(*SCHEMA)
    later = pl.DataFrame(list(later_rows(data)), schema=SCHEMA, orient="row")
    held_out = pl.read_parquet(data / "stop_reasons_dev.parquet")["text"]
    known = {normalize_text(text) for part in (train["text"], held_out, later["text"]) for text in part}
    made_up = []
    for line in (HERE / "made_up_reasons.tsv").read_text(encoding="utf-8").splitlines():
        labels, text = line.split("\t")
        if (wording := normalize_text(text)) not in known:
            known.add(wording)
            made_up.append((None, text, sorted(labels.split(","), key=list(STOP.labels).index)))
    return pl.concat([train, later, pl.DataFrame(made_up, schema=SCHEMA, orient="row")])


def later_rows(data: Path) -> Iterator[tuple[str, str, list[str]]]:
    """The reasons of `later_reasons.csv`, which has no texts: they come from the registry's files."""
    found = {(nct_id, text_hash(text)): text for nct_id, text in written_reasons(data)}
    listed = pl.read_csv(HERE / "later_reasons.csv")
    lacking = 0
    for nct_id, mark, labels in listed.select("nct_id", "text_hash", "labels").iter_rows():
        text = found.get((nct_id, mark))
        lacking += text is None
        if text is not None:
            yield nct_id, text, labels.split("|")
    if lacking:
        print(f"{lacking} of {len(listed)} later reasons are not in {data}")


def written_reasons(data: Path) -> Iterator[tuple[str, str]]:
    """NCT id and reason of every stopped trial in three files of the registry."""
    aact = pl.read_csv(data / "aact_2022_studies.csv.gz", infer_schema=False)
    trials = pl.read_parquet(data / "trials.parquet")
    for table in (aact, trials):
        for nct_id, reason in table.select("nct_id", "why_stopped").iter_rows():
            yield nct_id, " ".join((reason or "").split())
    with gzip.open(data / "registry_v2_studies.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            section = json.loads(line)["protocolSection"]
            reason = section.get("statusModule", {}).get("whyStopped") or ""
            yield section["identificationModule"]["nctId"], " ".join(reason.split())


def sex_rows(data: Path, snapshot: Path, out: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Labelled rows to train on, and 1,600 to test on."""
    examples = read_examples(SEX, snapshot, None, quarantine=out / "sex.quarantine.jsonl").trainable
    parts = split_examples(examples, fractions={"train": 0.8, "test": 0.2}, seed=13, kind=SEX.kind)
    # Urology nearly determines the sex: such records stay out of the test, as in the recipe `registry`.
    urology = pl.col("source").str.contains("Marc-Morcos", literal=True).fill_null(False)
    test = parts["test"].filter(~urology).sample(1600, seed=13)
    train, _ = drop_overlap(examples, test)
    return train.select(*SCHEMA), test


def more_for_sex(
    data: Path, snapshot: Path, labelled: pl.DataFrame, test: pl.DataFrame
) -> Iterator[tuple[str, str | None]]:
    """NCT id and text for the teachers: records whose sex is not known, titles, parts of labelled records."""
    records = pl.read_parquet(snapshot)
    ours, tested = labelled["nct_id"].implode(), test["nct_id"].implode()
    for record in records.filter(~pl.col("nct_id").is_in(ours) & ~pl.col("nct_id").is_in(tested)).to_dicts():
        yield record["nct_id"], SEX.text_of(record)
    titles = pl.read_csv(data / "aact_2022_studies.csv.gz", infer_schema=False)
    titles = titles.filter(~pl.col("nct_id").is_in(tested)).sample(TITLES, seed=1)
    for record in titles.to_dicts():
        both = {field: record[field] for field in ("brief_title", "official_title")}
        yield record["nct_id"], SEX.text_of(both)
    rng = Random(1)
    for record in records.filter(pl.col("nct_id").is_in(ours)).to_dicts():
        drawn = rng.random()
        kept = next(fields for share, fields in PARTS if drawn < share)
        yield record["nct_id"], SEX.text_of({field: record.get(field) for field in kept})


def kept_aside(rows: pl.DataFrame, kind: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Nine tenths to train on, one to tune the decision, no wording or near-duplicate in both."""
    parts = split_examples(rows, fractions={"train": 0.9, "calibration": 0.1}, seed=1, kind=kind)
    return parts["train"], parts["calibration"]


def answered(texts: list[str], task: str) -> pl.DataFrame:
    """The texts that the teachers have answered, which is all of them with the same files and versions."""
    known = set(pl.read_parquet(HERE / "answers" / f"{task}.parquet")["text_hash"])
    kept = [text for text in texts if text_hash(text) in known]
    print(f"{task}: {len(kept):,} of {len(texts):,} texts without labels are answered")
    return pl.DataFrame({"text": kept})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    import_trials(options.data / "trials.parquet", out / "snapshot.parquet")
    stop = stop_rows(options.data).with_row_index("place")
    stop_train, stop_aside = kept_aside(stop, STOP.kind)
    aside = set(stop_aside["place"])
    composed = [one.text for one in compose(stop, COMPOSED, seed=1) if aside.isdisjoint(one.parents)]
    sex, test = sex_rows(options.data, out / "snapshot.parquet", out)
    sex_train, sex_aside = kept_aside(sex, SEX.kind)
    held = {*sex["text"], *test["text"], *sex_aside["nct_id"]}
    more = more_for_sex(options.data, out / "snapshot.parquet", sex, test)
    parts = dict.fromkeys(text for nct_id, text in more if text and not held & {nct_id, text})
    tables = {
        "stop_reasons": stop_train.drop("place"),
        "stop_reasons_calibration": stop_aside.drop("place"),
        "stop_reasons_more": answered(composed, "stop-reasons"),
        "sex": sex_train,
        "sex_calibration": sex_aside,
        "sex_more": answered([*parts], "sex"),
    }
    texts = pl.concat([table.select("text") for table in tables.values()])
    for name, table in {**tables, "sex_test": test, "vocabulary": texts}.items():
        table.write_parquet(out / f"{name}.parquet")
        print(f"{len(table):,} rows in {out / name}.parquet")


if __name__ == "__main__":
    main()
