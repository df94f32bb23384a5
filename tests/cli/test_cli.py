"""The command line as a user meets it: helpful, scriptable, and clear about what is wrong."""

import io
import json
import os
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import polars as pl
import pytest
import typer
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from trialtune.cli import app, main
from trialtune.cli.failures import explain
from trialtune.models.settings import LoraSettings
from trialtune.reports.tables import escaped
from trialtune.stages.settings import AdaptSettings, FinetuneSettings
from trialtune.tasks.catalog import load_task
from trialtune.tasks.crosswalk import shipped_crosswalks

COMMANDS = [
    ["run"],
    ["recipes"],
    ["registry", "import"],
    ["registry", "sync"],
    ["registry", "diff"],
    ["registry", "info"],
    ["registry", "show"],
    ["registry", "sql"],
    ["registry", "sample"],
    ["corpus", "build"],
    ["adapt"],
    ["mlm"],
    ["finetune"],
    ["evaluate"],
    ["compare"],
    ["crossfit"],
    ["audit", "sex"],
    ["errors"],
    ["predict"],
    ["crosswalks"],
    ["apply"],
    ["export"],
    ["serve"],
    ["annotate"],
    ["annotations", "import"],
    ["annotations", "export"],
    ["agreement"],
    ["push"],
    ["shrink"],
    ["classifiers"],
    ["split"],
    ["estimate", "plan"],
    ["estimate", "run"],
]


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def trialtune(*arguments: object, cwd: Path) -> Done:
    """Run a command in this process, which has the heavy imports behind it."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = ["trialtune", *map(str, arguments)]
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", argv):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def test_every_command_has_help_with_an_example_and_json() -> None:
    names = set()
    for command in COMMANDS:
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0
        assert "Example" in shown.output
        assert f"trialtune {' '.join(command)}" in shown.output
        assert "--json" in shown.output or command in (["serve"], ["annotate"])  # which answer over HTTP
        names.add(command[0])
    assert set(typer.main.get_command(app).commands) == names


def test_the_command_line_starts_without_what_only_commands_need() -> None:
    code = "import sys, trialtune.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "peft", "accelerate", "polars", "pyarrow", "yaml", "httpx"}
    heavy |= {"huggingface_hub", "jinja2", "scipy"}
    assert not heavy & set(done.stdout.split())


def test_help_groups_the_options_and_gives_defaults_and_bounds() -> None:
    shown = CliRunner().invoke(app, ["adapt", "--help"], env={"COLUMNS": "200"}).output
    for said in (
        "How long",
        "LoRA",
        "Watching",
        "Machine",
        "[default: 0.0005]",
        "<float >0 <1>",
        "[default: all-linear]",
    ):
        assert said in shown
    assert "--no-" not in shown
    said = CliRunner().invoke(app, ["compare", "--help"], env={"COLUMNS": "200"}).output
    for name in FinetuneSettings.model_fields.keys() - {"lora"}:
        assert f"{name}=" in said
    assert "lora.lora_alpha=32" in said


@pytest.fixture(scope="module")
def work(tmp_path_factory, tiny_encoder) -> Path:
    """A folder with a sample registry taken through every command, one after the other."""
    folder = tmp_path_factory.mktemp("work")
    steps = [
        ("registry", "sample", "--out", "sample", "--studies", 400),
        ("registry", "import", "sample/studies.jsonl.gz", "--out", "snap.parquet"),
        ("corpus", "build", "snap.parquet", "--encoder", tiny_encoder, "--block-size", 64, "--out", "corpus"),
        ("adapt", "corpus", "--encoder", tiny_encoder, "--steps", 6, "--out", "adapter"),
        (
            *(
                *("finetune", "--method", "full"),
                "stop-reasons",
                "--data",
                "snap.parquet",
                "--labels",
                "sample/stop_reasons.parquet",
            ),
            *("--encoder", tiny_encoder, "--adapter", "adapter", "--set", "epochs=1", "--out", "clf"),
        ),
    ]
    for step in steps:
        done = trialtune(*step, "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        (folder / f"{step[0]}.json").write_text(done.stdout)
        json.loads(done.stdout)
    return folder


def test_import_counts_add_up_and_name_the_reasons(work) -> None:
    summary = json.loads((work / "registry.json").read_text())
    assert summary["read"] == 400 == summary["kept"] + summary["quarantined"]
    assert sum(summary["reasons"].values()) >= summary["quarantined"] > 0
    quarantined = pl.read_ndjson(work / summary["quarantine"])
    assert len(quarantined) == summary["quarantined"]


def test_predict_texts_stdin_and_files(work) -> None:
    done = trialtune("predict", "clf", "slow recruitment", "funding ran out", "--json", cwd=work)
    rows = json.loads(done.stdout)["predictions"]
    assert [row["text"] for row in rows] == ["slow recruitment", "funding ran out"]
    assert all(row["labels"] for row in rows)
    pl.DataFrame({"text": ["slow recruitment", "", None]}).write_csv(work / "in.csv")
    for suffix in ("parquet", "csv", "jsonl"):
        done = trialtune("predict", "clf", "--input", "in.csv", "--output", f"out.{suffix}", cwd=work)
        assert done.returncode == 0, done.stderr
    out = pl.read_parquet(work / "out.parquet")
    assert out["labels"].to_list() == [rows[0]["labels"], None, None]
    assert pl.read_csv(work / "out.csv").height == pl.read_ndjson(work / "out.jsonl").height == 3
    done = trialtune("predict", "clf", "--input", "snap.parquet", "--output", "all.parquet", cwd=work)
    labelled = pl.read_parquet(work / "all.parquet")
    snapshot = pl.read_parquet(work / "snap.parquet")
    assert labelled["nct_id"].equals(snapshot["nct_id"])
    assert labelled["labels"].is_null().equals(snapshot["why_stopped"].is_null())


def test_predict_shows_and_writes_the_classes_of_crosswalks(work) -> None:
    options = ("--crosswalk", "open_targets", "--crosswalk", "scientific")
    done = trialtune("predict", "clf", "slow recruitment", *options, "--json", cwd=work)
    [row] = json.loads(done.stdout)["predictions"]
    assert row["open_targets"] and row["open_targets_score_factor"] in (0.5, 1)
    assert set(row["scientific_probabilities"]) == {"scientific", "non_scientific", "not_stated"}
    shown = trialtune("predict", "clf", "slow recruitment", " ", *options, cwd=work).stdout
    assert row["open_targets"][0] in shown and "score_factor" in shown and "scientific" in shown
    wrong = trialtune("predict", "clf", "slow", "--crosswalk", "fihr", cwd=work)
    assert wrong.returncode == 2 and "did you mean 'fhir'" in wrong.stderr


def test_crosswalks_are_listed_and_shown_with_their_sources(work) -> None:
    listed = json.loads(trialtune("crosswalks", "--json", cwd=work).stdout)
    assert set(listed) == set(shipped_crosswalks())
    assert {"version", "task", "classes"} <= listed["fhir"].keys()
    said = trialtune("crosswalks", cwd=work).stdout
    assert all(name in said for name in listed)
    one = json.loads(trialtune("crosswalks", "fhir", "--json", cwd=work).stdout)
    assert one["labels"]["Safety_Sideeffects"]["target"] == "closed-due-to-toxicity"
    said = trialtune("crosswalks", "open_targets", cwd=work).stdout
    assert "classes.csv" in said and "0.5 with Negative or Safety_Sideeffects" in said


def test_predict_shows_the_words_after_each_label(work, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = "slow recruitment, funding ran out"
    done = trialtune("predict", "clf", text, "--evidence", "--json", cwd=work)
    [row] = json.loads(done.stdout)["predictions"]
    assert [one["label"] for one in row["evidence"]] == row["labels"]
    assert all(text[one["start"] : one["end"]] == one["text"] for one in row["evidence"])
    printed = trialtune("predict", "clf", text, "", "--evidence", cwd=work).stdout
    for one in row["evidence"]:
        likely = row["probabilities"][one["label"]]
        assert f'{one["label"]} {likely:.2f}: "{one["text"]}"' in printed
    assert "(no text)" in printed


def test_the_card_says_what_the_classifier_is(work) -> None:
    card = (work / "clf" / "README.md").read_text()
    header = ModelCard(card).data
    assert (header.library_name, header.language, header.eval_results) == ("transformers", "en", None)
    described = json.loads((work / "clf" / "training.json").read_text())
    assert f"{described['rows']['train']:,} rows" in card
    assert f"micro-F1 {described['calibration']['micro_f1']:.3f}" in card
    for label, meaning in load_task("stop-reasons").labels.items():
        assert f"| {escaped(label)} | {escaped(meaning)} |" in card


def test_crossfit_asks_classifiers_that_have_not_seen_the_row(work, tiny_encoder) -> None:
    done = trialtune(
        *("crossfit", "stop-reasons", "--data", "snap.parquet", "--labels", "sample/stop_reasons.parquet"),
        *("--encoder", tiny_encoder, "--set", "epochs=1", "--folds", 2, "--out", "crossfit", "--json"),
        cwd=work,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    found = pl.read_parquet(work / "crossfit" / "suspects.parquet")
    assert len(found) == summary["suspects"] and {"nct_id", "text", "doubted", "given"} <= set(found.columns)
    wrong = trialtune("crossfit", "sex", "--encoder", "x", "--out", "y", "--set", "epoch=1", cwd=work)
    assert wrong.returncode == 2 and "did you mean 'epochs'" in wrong.stderr


def test_evaluate_refuses_training_rows_and_scores_others(work) -> None:
    labels = ("--labels", "sample/stop_reasons.parquet")
    done = trialtune("evaluate", "clf", "--data", "snap.parquet", *labels, "--out", "m.json", cwd=work)
    assert done.returncode == 1
    assert "seen in training" in done.stderr
    assert not (work / "m.json").exists()
    rows = {"text": ["Not enough patients came", "The money was gone"]}
    table = pl.DataFrame({**rows, "labels": ["Insufficient_Enrollment", "Business_Administrative"]})
    table.write_csv(work / "new.csv")
    done = trialtune("evaluate", "clf", "--data", "new.csv", "--out", "m.json", cwd=work)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((work / "m.json").read_text())
    assert {"micro_f1", "macro_f1", "per_class", "n", "ece"} <= metrics.keys()
    assert metrics["n"] == 2
    assert metrics["per_class"]["Success"]["f1"] is None


def test_errors_are_shown_as_a_page_as_json_and_in_the_terminal(work) -> None:
    rows = {"text": ["Not enough patients came", "The money was gone"], "labels": ["Success", "Covid19"]}
    pl.DataFrame(rows).write_csv(work / "wrong.csv")
    done = trialtune("errors", "clf", "--data", "wrong.csv", "--html", "errors.html", "--json", cwd=work)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    [missed] = found["classes"]["Success"]["false_negatives"]["worst"]
    assert missed["gold"] == ["Success"]
    assert "".join(piece["text"] for piece in missed["pieces"]) == "Not enough patients came"
    assert "Worst errors of clf" in (work / "errors.html").read_text()
    assert "Success: missed 1" in trialtune("errors", "clf", "--data", "wrong.csv", cwd=work).stdout


def test_what_is_wrong_is_said_in_one_message_with_the_right_exit_code(work, tiny_encoder) -> None:
    (work / "no_id.csv").write_text("title,text\na,b\n")
    (work / "empty").mkdir()
    (work / "labels.csv").write_text("text,labels\nslow,Slow_Enrolment\n")
    (work / "cut.jsonl.gz").write_bytes((work / "sample" / "studies.jsonl.gz").read_bytes()[:5000])
    finetune = ("finetune", "stop-reasons", "--out", "x")
    cases = [
        (2, "did you mean 'quick'", ("run", "quikc")),
        (2, "did you mean 'encoder'", ("run", "quick", "--set", "encodr=x")),
        (2, "no such file", ("registry", "import", "nowhere.csv", "--out", "x.parquet")),
        (1, "no_id.csv", ("registry", "import", "no_id.csv", "--out", "x.parquet")),
        (1, "cut.jsonl.gz", ("registry", "import", "cut.jsonl.gz", "--out", "x.parquet")),
        (1, "registry import", ("corpus", "build", "no_id.csv", "--encoder", tiny_encoder, "--out", "x")),
        (1, "corpus build", ("adapt", "empty", "--encoder", tiny_encoder, "--out", "x")),
        (2, "--tokens", ("adapt", "corpus", "--encoder", tiny_encoder, "--tokens", "1.5", "--out", "x")),
        (2, "--steps", ("adapt", "corpus", "--encoder", tiny_encoder, "--steps", "0", "--out", "x")),
        (2, "--dropout", ("adapt", "corpus", "--encoder", tiny_encoder, "--dropout", "much", "--out", "x")),
        (2, "--folds", ("split", "sex", "--folds", 2, "--after", "2020-01-01", "--out", "x")),
        (2, "--seeds", ("compare", "sex", "--encoder", "x", "--adapter", "y", "--seeds", "a", "--out", "x")),
        (2, "tensorboard", ("adapt", "corpus", "--encoder", tiny_encoder, "--report-to", "qq", "--out", "x")),
        (1, "not an encoder folder", ("adapt", "corpus", "--encoder", "empty", "--out", "x")),
        (
            2,
            "'query'",
            ("adapt", "corpus", "--encoder", tiny_encoder, "--target-modules", "qq", "--out", "x"),
        ),
        (1, "'Insufficient_Enrollment'", (*finetune, "--data", "labels.csv", "--encoder", tiny_encoder)),
        (2, "did you mean 'sex'", ("finetune", "sexes", "--data", "a", "--encoder", "b", "--out", "c")),
        (1, "finetune", ("predict", "empty", "some text")),
        (2, "--input", ("predict", "clf")),
        (2, "Missing option", ("finetune", "sex")),
    ]
    for code, said, arguments in cases:
        done = trialtune(*arguments, cwd=work)
        assert (done.returncode, done.stdout) == (code, ""), (arguments, done.stderr)
        assert said in done.stderr, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    assert not list(work.glob("x*"))


def test_a_dry_run_says_how_much_would_be_trained(work, tiny_encoder) -> None:
    command = ("adapt", "corpus", "--encoder", tiny_encoder, "--out", "x", "--dry-run")
    done = trialtune(*command, "--tokens", "5_000", "--json", cwd=work)
    planned = json.loads(done.stdout)
    assert planned["block_size"] == 64
    assert 5000 <= planned["tokens"] < 5000 + 16 * 64
    assert planned["epochs"] == pytest.approx(planned["steps"] * 16 / planned["blocks"])
    assert "1.0" in trialtune(*command, cwd=work).stdout  # without a limit, one pass
    assert not (work / "x").exists()


def test_a_training_without_a_terminal_says_how_far_it_is(work, tiny_encoder) -> None:
    command = ("adapt", "corpus", "--encoder", tiny_encoder, "--steps", "6", "--out", "logged")
    done = subprocess.run(
        [sys.executable, "-m", "trialtune", *command],
        capture_output=True,
        text=True,
        check=True,
        cwd=work,
        env={**os.environ, "TRIALTUNE_LOG_SECONDS": "0.001"},
    )
    form = r"adapting \(lora\): step 4 of 6 \(67%\), loss \d\.\d{3}, [\d,]+ tokens/s, \d+ s left"
    assert re.search(form, done.stderr), done.stderr


def test_settings_are_options_of_the_same_names(work, tiny_encoder) -> None:
    given = (
        *("--steps", "1e0", "--batch-size", 4, "--gradient-accumulation-steps", 2, "--dropout", "null"),
        *(
            "--lr-scheduler-type",
            "cosine",
            "--warmup-ratio",
            0.5,
            "--eval-steps",
            "1_000",
            "--eval-blocks",
            4,
        ),
        *("--save-steps", 7, "--save-total-limit", 1, "--r", 2, "--lora-alpha", 4, "--lora-dropout", 0.1),
        *("--target-modules", "query, value", "--use-rslora", "--whole-word-mask"),
        *("--report-to", "tensorboard", "--early-stopping-patience", 3),
    )
    done = trialtune("adapt", "corpus", "--encoder", tiny_encoder, *given, "--out", "set", "--json", cwd=work)
    assert done.returncode == 0, done.stderr
    settings = AdaptSettings.model_validate(json.loads(done.stdout)["settings"])
    train = settings.train
    assert (train.steps, train.batch_size, train.gradient_accumulation_steps) == (1, 4, 2)
    assert (train.lr_scheduler_type, train.warmup_ratio, train.eval_steps) == ("cosine", 0.5, 1000)
    assert (train.save_steps, train.save_total_limit, train.early_stopping_patience) == (7, 1, 3)
    assert train.report_to == ("tensorboard",)
    lora = {"r": 2, "lora_alpha": 4, "lora_dropout": 0.1, "target_modules": ("query", "value")}
    assert settings.lora == LoraSettings(**lora, use_rslora=True)
    assert settings.whole_word_mask and settings.dropout is None and not settings.compile
    assert (settings.method, settings.eval_blocks, train.seed) == ("lora", 4, 13)


def test_an_adapter_is_scored_by_section(work, tiny_encoder) -> None:
    done = trialtune("mlm", "corpus", "--encoder", tiny_encoder, "--adapter", "adapter", cwd=work)
    assert done.returncode == 0, done.stderr
    assert "Eligibility" in done.stdout


def test_tracebacks_are_for_debug_alone(work) -> None:
    command = [sys.executable, "-m", "trialtune", "predict", "empty", "text"]
    plain, debug = (
        subprocess.run([*command, *more], capture_output=True, text=True, check=False, cwd=work)
        for more in ([], ["--debug"])
    )
    assert plain.returncode == 1
    assert plain.stderr.startswith("error: ")
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr


def test_failures_of_the_machine_are_explained() -> None:
    assert "disk is full" in explain(OSError(28, "No space left on device", "a.parquet"))[0]
    assert "--out" in explain(PermissionError(13, "Permission denied", "a.parquet"))[0]
    assert "batch size" in explain(RuntimeError("CUDA out of memory. Tried"))[0]
    assert explain(KeyboardInterrupt())[1] == 130


def test_a_user_s_own_task_needs_nothing_but_its_file(work, tiny_encoder) -> None:
    rows = [("slow accrual", "yes"), ("toxicity", "no")] * 40
    words = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()
    texts = [f"{text} {words[n % 10]} {words[n // 10]} {words[-n % 7]}" for n, (text, _) in enumerate(rows)]
    pl.DataFrame({"reason": texts, "slow": [answer for _, answer in rows]}).write_csv(work / "own.csv")
    (work / "own.yaml").write_text(
        "{name: own, kind: multi_class, labels: ['yes', 'no'], text: reason, "
        "label_columns: slow, data: own.csv, max_length: 32}"
    )
    command = (
        "finetune",
        "own.yaml",
        "--encoder",
        tiny_encoder,
        "--set",
        "epochs=1",
        "--out",
        "own",
        "--json",
    )
    done = trialtune(*command, cwd=work)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["task"] == "own"
    pl.DataFrame({"reason": ["no money at all"], "slow": ["no"]}).write_csv(work / "other.csv")
    done = trialtune("evaluate", "own", "--data", "other.csv", "--out", "own.json", "--json", cwd=work)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["near_duplicates"] == 0
    done = trialtune("split", "own.yaml", "--folds", 2, "--out", "folds", cwd=work)
    assert done.returncode == 0, done.stderr
    assert "fold-2" in done.stdout
    assert (work / "folds" / "fold-2" / "test.parquet").is_file()
    (work / "own.yaml").write_text("{name: own, kind: multi_class, label: [a, b]}")
    done = trialtune(*command, cwd=work)
    assert done.returncode == 2 and "did you mean 'labels'" in done.stderr


def test_an_overlap_of_training_and_test_rows_is_refused(work, tiny_encoder) -> None:
    pl.DataFrame({"text": ["slow accrual", "no money"], "labels": ["Negative", "Success"]}).write_csv(
        work / "a.csv"
    )
    pl.DataFrame({"text": ["Slow  accrual!"], "labels": ["Negative"]}).write_csv(work / "b.csv")
    command = ("compare", "stop-reasons", "--data", "a.csv", "--test", "b.csv", "--encoder", tiny_encoder)
    done = trialtune(*command, "--adapter", "adapter", "--out", "refused", cwd=work)
    assert done.returncode == 1
    assert "1 of 2 rows of a.csv share" in done.stderr and "slow accrual" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--adapter is missing"),
        (["--train-sizes", "50,many"], "write numbers of rows, and all"),
        (["--train-sizes", "50,5"], "cannot be split"),
    ],
)
def test_compare_says_what_it_needs(given: list[str], said: str, tmp_path: Path) -> None:
    where = ["--data", "x.csv", "--encoder", "embedded:minilm-l6", "--out", "o"]
    done = trialtune("compare", "stop-reasons", *where, *given, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
