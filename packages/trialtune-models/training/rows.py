"""What the shipped classifiers are trained on, from a folder of real trials and the files beside this one.

    python rows.py --data ../shared/data --out runs/models

Writes `stop_reasons.parquet` and `sex.parquet` (labelled rows), `stop_reasons_more.parquet` and
`sex_more.parquet` (texts that the teachers alone have answered), `sex_test.parquet` (1,600 rows that
nothing is trained on) and `vocabulary.parquet` (all of these texts, but the test). Of the held-out
stop reasons (`stop_reasons_dev.parquet`) nothing is used.
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
TITLES = 12_000  # trials of AACT of which the titles alone are read
# Parts of a record that may be all there is, and how often each is drawn.
PARTS = (
    (0.3, ("brief_title", "conditions")),
    (0.6, ("brief_title", "brief_summary")),
    (0.8, ("eligibility_criteria",)),
    (1.0, ("brief_title", "eligibility_criteria")),
)


def stop_rows(data: Path) -> pl.DataFrame:
    """Hand-labelled real reasons, later ones labelled for this, and made-up ones."""
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


def sex_rows(data: Path, snapshot: Path, out: Path) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Labelled rows to train on, 1,600 to test on, and texts for the teachers: whole records and parts."""
    examples = read_examples(SEX, snapshot, None, quarantine=out / "sex.quarantine.jsonl").trainable
    parts = split_examples(examples, fractions={"train": 0.8, "test": 0.2}, seed=13, kind=SEX.kind)
    # Urology alone tells the sex: such records stay out of the test, as in the recipe `registry`.
    urology = pl.col("source").str.contains("Marc-Morcos", literal=True).fill_null(False)
    test = parts["test"].filter(~urology).sample(1600, seed=13)
    train, _ = drop_overlap(examples, test)
    records = pl.read_parquet(snapshot)
    unlabelled = records.filter(~pl.col("nct_id").is_in(examples["nct_id"].implode()))
    texts = [SEX.text_of(record) for record in unlabelled.to_dicts()]
    titles = pl.read_csv(data / "aact_2022_studies.csv.gz", infer_schema=False)
    titles = titles.filter(~pl.col("nct_id").is_in(test["nct_id"].implode())).sample(TITLES, seed=1)
    texts += [SEX.text_of(record) for record in titles.select("brief_title", "official_title").to_dicts()]
    rng = Random(1)
    for record in records.filter(pl.col("nct_id").is_in(train["nct_id"].implode())).to_dicts():
        drawn = rng.random()
        kept = next(fields for share, fields in PARTS if drawn < share)
        texts.append(SEX.text_of({field: record.get(field) for field in kept}))
    held = {*train["text"], *test["text"]}
    return train.select(*SCHEMA), test, [text for text in dict.fromkeys(texts) if text and text not in held]


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
    stop = stop_rows(options.data)
    train, test, more = sex_rows(options.data, out / "snapshot.parquet", out)
    tables = {
        "stop_reasons": stop,
        "stop_reasons_more": answered(compose(stop, COMPOSED, seed=1), "stop-reasons"),
        "sex": train,
        "sex_more": answered(more, "sex"),
    }
    texts = pl.concat([table.select("text") for table in tables.values()])
    for name, table in {**tables, "sex_test": test, "vocabulary": texts}.items():
        table.write_parquet(out / f"{name}.parquet")
        print(f"{len(table):,} rows in {out / name}.parquet")


if __name__ == "__main__":
    main()
